/** Rankings in the shape that vLLM and Cohere v2 have: results with the index and the score of a document, best first. */
import { randomUUID } from 'node:crypto'
import { asNumber, asText, field, isRecord, type Json } from './json.ts'
import { answerFailed, type Mend } from './repair.ts'

/**
 * Takes results from `results`, `data` or the answer itself, scores from `relevance_score` or `score`. Engines that do
 * not know `top_n` rank everything: the rest is left out here. Documents are given as `{text}` when asked for with
 * `return_documents`, and when the engine sends them unasked and nobody forbade it.
 */
export const ranking = (body: Json): Mend => ({
  marks: [],
  whole(answer) {
    const list = [field(answer, 'results'), field(answer, 'data'), answer].find(Array.isArray)
    if (list === undefined) throw answerFailed('its answer has no results')
    const entries: unknown[] = list
    const ranked = entries.map(entry => toResult(entry, body))
    if (new Set(ranked.map(({ index }) => index)).size < ranked.length)
      throw answerFailed('its ranking names a document twice')
    const results = ranked.toSorted((a, b) => b.relevance_score - a.relevance_score)
    const usage = readUsage(answer, entries)
    return {
      id: asText(field(answer, 'id')) ?? `rerank-${randomUUID()}`,
      model: asText(field(answer, 'model')) ?? asText(body['model']),
      results: results.slice(0, asNumber(body['top_n']) ?? results.length),
      ...(usage === null ? {} : { usage }),
    }
  },
})

function toResult(entry: unknown, body: Json): { index: number; relevance_score: number; document?: { text: string } } {
  const index = asNumber(field(entry, 'index'))
  const score = field(entry, 'relevance_score') ?? field(entry, 'score')
  const value = asNumber(Array.isArray(score) ? score[0] : score)
  if (index === null || value === null) throw answerFailed('a result of its ranking has no index or no score')
  const { documents } = body
  if (!Number.isInteger(index) || index < 0 || (Array.isArray(documents) && index >= documents.length))
    throw answerFailed(`its ranking names the document ${index}, and there is none`)
  const text = documentOf(entry, body, index)
  return { index, relevance_score: value, ...(text === null ? {} : { document: { text } }) }
}

function documentOf(entry: unknown, body: Json, index: number): string | null {
  if (body['return_documents'] === false) return null
  const sent = toText(field(entry, 'document'))
  if (sent !== null || body['return_documents'] !== true) return sent
  const documents = body['documents']
  return Array.isArray(documents) ? toText(documents[index]) : null
}

const toText = (document: unknown): string | null => asText(document) ?? asText(field(document, 'text'))

/** SGLang tells the tokens of each pair beside its score. */
function readUsage(answer: unknown, entries: readonly unknown[]): Json | null {
  const usage = field(answer, 'usage')
  if (isRecord(usage)) return usage
  const counts = entries.map(entry => asNumber(field(field(entry, 'meta_info'), 'prompt_tokens')))
  if (counts.length === 0 || counts.includes(null)) return null
  const total = counts.reduce<number>((sum, count) => sum + (count ?? 0), 0)
  return { prompt_tokens: total, total_tokens: total }
}
