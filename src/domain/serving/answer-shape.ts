/** Answer shapes: what a whole answer of an engine must have, or no client could read it. Rules V1–V3 in SPEC.md. */
import { fieldOf, type Ask, type EnginePath } from './ask.ts'

type Json = Record<string, unknown>

/** What is missing in an answer in OpenAI's shape, in words that follow «it failed:»; `null`: nothing. */
export const answerProblem = (ask: Pick<Ask, 'path' | 'body' | 'plain'>, answer: Json): string | null =>
  problems[ask.path](answer, ask)

type Asked = Pick<Ask, 'body' | 'plain'>

const problems: { readonly [P in EnginePath]: (answer: Json, ask: Asked) => string | null } = {
  'chat/completions': ({ choices }) =>
    isListOf(choices, ({ message }) => isRecord(message)) ? null : 'its answer has no message',
  'completions': ({ choices }) =>
    isListOf(choices, ({ text }) => typeof text === 'string') ? null : 'its answer has no text',
  'embeddings': ({ data }, ask) => {
    if (!isListOf(data, ({ embedding }) => Array.isArray(embedding) || typeof embedding === 'string'))
      return 'its answer has no embeddings'
    const asked = countInputs(fieldOf(ask, 'input'))
    return data.length === asked ? null : `it answered ${asked} inputs with ${data.length} embeddings`
  },
  // Their answers are made here, of what engines send (`Repair`).
  'rerank': () => null,
  'tokenize': () => null,
  'audio/transcriptions': ({ text }) => (typeof text === 'string' ? null : 'its answer has no text'),
  // Bytes.
  'audio/speech': () => null,
}

/** A list of tokens is one input. */
function countInputs(input: unknown): number {
  if (!Array.isArray(input)) return 1
  return input.every(one => typeof one === 'number') ? 1 : input.length
}

function isListOf(value: unknown, isRight: (item: Json) => boolean): value is Json[] {
  return Array.isArray(value) && value.length > 0 && value.every(item => isRecord(item) && isRight(item))
}

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
