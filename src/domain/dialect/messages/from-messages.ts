/** `POST /v1/messages` and `/v1/messages/count_tokens`: Anthropic's requests, as engines are asked. Rules M1–M21. */
import { FaultError } from '../../fault.ts'
import type { AnswerTranslator, Translated, TranslationContext } from '../translation.ts'
import { toMessage, type MessageFrame } from './answer.ts'
import { isRecord, nameAt, readBody } from './place.ts'
import { readSettings, readStops, readTemplate } from './settings.ts'
import { streamMessage } from './stream.ts'
import { readTooling } from './tools.ts'
import { readTurns } from './turns.ts'

export function fromMessages(body: unknown, context: TranslationContext): Translated {
  return readBody(body, asked => {
    const model = nameAt(asked['model'], 'model')
    const frame: MessageFrame = { request: context.id, model, stops: readStops(asked) }
    const messages = readTurns(asked['system'], asked['messages'])
    return {
      request: {
        model,
        messages,
        ...(messages.at(-1)?.role === 'assistant' ? { continue_final_message: true } : {}),
        ...readTooling(asked),
        ...readSettings(asked),
      },
      answer: {
        whole: completion => toMessage(completion, frame),
        stream: () => streamMessage(frame),
        longestIsAWish: true,
      },
    }
  })
}

/** The same body; what only shapes the answer is not looked at. The request is one for the engine's tokenizer. */
export function fromCountTokens(body: unknown): Translated {
  return readBody(body, asked => {
    // A choice of tools changes no prompt.
    const { tools } = readTooling({ tools: asked['tools'] })
    return {
      request: {
        model: nameAt(asked['model'], 'model'),
        messages: readTurns(asked['system'], asked['messages']),
        ...(tools === undefined ? {} : { tools }),
        ...readTemplate(asked),
      },
      answer: countAnswer,
    }
  })
}

const countAnswer: AnswerTranslator = {
  whole(counted) {
    const count = isRecord(counted) ? counted['count'] : undefined
    if (typeof count === 'number') return { input_tokens: count }
    throw new FaultError({ kind: 'engine-failed', status: 200, detail: 'its answer tells no count of tokens' })
  },
  stream() {
    throw new FaultError({ kind: 'engine-failed', status: 200, detail: 'it streamed a count of tokens' })
  },
}
