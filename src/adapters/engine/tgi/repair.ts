/** What is mended in TGI's answers alone. */
import { randomUUID } from 'node:crypto'
import { answerFailed, asNumber, field, keyMarks, mapChoices, type Mend } from '../openai/index.ts'

/** Older versions end with names of their own for `stop`. */
export const finishReasons: Mend = {
  marks: keyMarks('finish_reason', '"'),
  chunk: chunk => mapChoices(chunk, withStop),
  whole: answer => mapChoices(answer, withStop),
}

/**
 * Its chats have no id (`""`), and OpenAI's own client then drops what the chunks tell beside the choices: the usage.
 * Made anew for each attempt: all chunks of an answer have the same one.
 */
export function answerId(): Mend {
  const id = `chatcmpl-${randomUUID().replaceAll('-', '')}`
  const withId = <T>(answer: T): T => (field(answer, 'id') === '' ? { ...answer, id } : answer)
  return { marks: keyMarks('id', '""'), chunk: withId, whole: withId }
}

/** Its list of tokens, of a prompt or of a chat. */
export const tokenList: Mend = {
  marks: [],
  whole(answer) {
    const list = field(answer, 'tokenize_response') ?? answer
    if (!Array.isArray(list)) throw answerFailed('its answer has no tokens')
    const tokens = list.flatMap((token: unknown) => asNumber(field(token, 'id')) ?? [])
    return { count: list.length, tokens, max_model_len: null }
  },
}

function withStop(choice: Record<string, unknown>): Record<string, unknown> {
  const finish = choice['finish_reason']
  return finish === 'eos_token' || finish === 'stop_sequence' ? { ...choice, finish_reason: 'stop' } : choice
}
