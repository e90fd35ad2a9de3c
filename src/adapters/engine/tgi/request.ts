/** What TGI is asked. It serves chats and completions alone, and is stricter than OpenAI about some values. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import {
  field,
  insteadOf,
  plainChat,
  reasoning,
  repairWith,
  toolCalls,
  unsupported,
  withoutSuffix,
} from '../openai/index.ts'
import { answerId, finishReasons, tokenList } from './repair.ts'

const engine = 'TGI'

export const toRequest: EngineDialect['toRequest'] = (path, body, version) => {
  switch (path) {
    case 'chat/completions':
      return {
        path: '/chat/completions',
        body: withinLimits(withGrammar(plainChat(body))),
        repair: repairWith(answerId(), finishReasons, reasoning, toolCalls()),
      }
    case 'completions':
      return {
        path: '/completions',
        body: withinLimits(withoutSuffix(engine, body, version)),
        repair: repairWith(finishReasons),
      }
    case 'tokenize':
      return toTokenize(body)
    case 'embeddings':
    case 'rerank':
    case 'audio/transcriptions':
    case 'audio/speech':
      throw unsupported(path, engine, insteadOf[path])
    default:
      return path satisfies never
  }
}

/** `stop` must be a list, and `top_p` below 1, which is what leaving it out means. */
function withinLimits(body: Record<string, unknown>): Record<string, unknown> {
  const { top_p: topP, stop, ...rest } = body
  return {
    ...rest,
    ...(stop === undefined ? {} : { stop: typeof stop === 'string' ? [stop] : stop }),
    ...(topP === undefined || (typeof topP === 'number' && topP >= 1) ? {} : { top_p: topP }),
  }
}

/** Its own form for answers in JSON, which all its versions know. */
function withGrammar(body: Record<string, unknown>): Record<string, unknown> {
  const { response_format: format, ...rest } = body
  switch (field(format, 'type')) {
    case 'text':
      return rest
    case 'json_object':
      return { ...rest, response_format: { type: 'json', value: field(format, 'value') ?? { type: 'object' } } }
    case 'json_schema': {
      const value = field(field(format, 'json_schema'), 'schema')
      return value === undefined ? body : { ...rest, response_format: { type: 'json', value } }
    }
    default:
      return body
  }
}

function toTokenize(body: Record<string, unknown>): ReturnType<EngineDialect['toRequest']> {
  const repair = repairWith(tokenList)
  if (body['messages'] === undefined) return { path: '~/tokenize', body: { inputs: body['prompt'] }, repair }
  const { model, messages, tools } = plainChat(body)
  return { path: '~/chat_tokenize', body: { model, messages, ...(tools === undefined ? {} : { tools }) }, repair }
}
