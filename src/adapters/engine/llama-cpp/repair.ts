/** What is mended in llama-server's answers alone. */
import { randomUUID } from 'node:crypto'
import { answerFailed, asNumber, asText, field, type Mend } from '../openai/index.ts'

/** An infill's own shape becomes OpenAI's text completion. It may be several answers. */
export const infilled = (model: string | null): Mend => ({
  marks: [],
  whole(answer) {
    const answers: unknown[] = Array.isArray(answer) ? answer : [answer]
    if (answers.some(one => asText(field(one, 'content')) === null)) throw answerFailed('its infill has no content')
    const sum = (name: string): number =>
      answers.reduce<number>((all, one) => all + (asNumber(field(one, name)) ?? 0), 0)
    const [input, output] = [sum('tokens_evaluated'), sum('tokens_predicted')]
    return {
      id: `cmpl-${randomUUID()}`,
      object: 'text_completion',
      created: Math.floor(Date.now() / 1000),
      model: model ?? asText(field(answers[0], 'model')),
      choices: answers.map((one, index) => ({
        text: asText(field(one, 'content')) ?? '',
        index: asNumber(field(one, 'index')) ?? index,
        logprobs: null,
        finish_reason: field(one, 'stop_type') === 'limit' || field(one, 'stopped_limit') === true ? 'length' : 'stop',
      })),
      usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output },
    }
  },
})

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
    const count = asNumber(field(answer, 'input_tokens'))
    if (count === null) throw answerFailed('its answer tells no count of tokens')
    return { count, tokens: null, max_model_len: null }
  },
}
