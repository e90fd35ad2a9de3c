/** What is mended in llama-server's answers alone. */
import { randomUUID } from 'node:crypto'
import type { Repair } from '../../../services/serve/index.ts'
import { answerFailed, asCount, asNumber, asText, field, type Mend } from '../openai/index.ts'

/** An infill's own shape becomes OpenAI's text completion, streamed or whole. It may be several answers. */
export function infilled(model: string | null, answers: number): Repair {
  const id = `cmpl-${randomUUID()}`
  const created = Math.floor(Date.now() / 1000)
  const ended: unknown[] = []

  const render = (parts: readonly unknown[], usage: object | null): Record<string, unknown> => ({
    id,
    object: 'text_completion',
    created,
    model: model ?? asText(field(parts[0], 'model')),
    choices: parts.map(toChoice),
    ...(usage === null ? {} : { usage }),
  })

  return {
    marks: [],
    chunk(part) {
      if (asText(part['content']) === null) return part
      if (part['stop'] === true) ended.push(part)
      return render([part], part['stop'] === true && ended.length >= answers ? usageOf(ended) : null)
    },
    whole(answer) {
      const parts: unknown[] = Array.isArray(answer) ? answer : [answer]
      if (parts.length === 0 || parts.some(part => asText(field(part, 'content')) === null))
        throw answerFailed('its infill has no content')
      return render(parts, usageOf(parts))
    },
    isComplete: () => ended.length >= answers,
  }
}

function toChoice(part: unknown, place: number): object {
  // Older ones tell it in three fields.
  const isCut = field(part, 'stop_type') === 'limit' || field(part, 'stopped_limit') === true
  const finish = isCut ? 'length' : 'stop'
  return {
    text: asText(field(part, 'content')) ?? '',
    index: asNumber(field(part, 'index')) ?? place,
    logprobs: null,
    finish_reason: field(part, 'stop') === false ? null : finish,
  }
}

/** Of all answers to one prompt. */
function usageOf(parts: readonly unknown[]): object {
  const counts = (name: string): number[] => parts.map(part => asNumber(field(part, name)) ?? 0)
  const input = counts('tokens_evaluated').reduce((most, count) => Math.max(most, count), 0)
  const output = counts('tokens_predicted').reduce((sum, count) => sum + count, 0)
  return { prompt_tokens: input, completion_tokens: output, total_tokens: input + output }
}

/** `{tokens: […]}` */
export const tokenList: Mend = {
  marks: [],
  whole(answer) {
    const tokens = field(answer, 'tokens')
    if (!Array.isArray(tokens)) throw answerFailed('its answer has no tokens')
    return { count: tokens.length, tokens, max_model_len: null }
  },
}

/** `{input_tokens: 13}` */
export const inputTokens: Mend = {
  marks: [],
  whole(answer) {
    const count = asCount(field(answer, 'input_tokens'))
    if (count === null) throw answerFailed('its answer tells no count of tokens')
    return { count, tokens: null, max_model_len: null }
  },
}
