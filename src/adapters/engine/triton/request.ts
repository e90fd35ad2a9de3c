/**
 * What Triton's OpenAI front end is asked. It tells the name of a named tool with every piece of its arguments and ends such
 * an answer with `stop`, which the repair mends; it takes one choice (`n: 1`) and one text to embed.
 */
import type { EngineDialect } from '../../../services/serve/index.ts'
import {
  countByCompletion,
  embeddingRepair,
  insteadOf,
  plainChat,
  repairWith,
  saidCalls,
  toolCalls,
  unsupported,
  withoutSuffix,
} from '../openai/index.ts'

const engine = 'Triton'

export const toRequest: EngineDialect['toRequest'] = (path, body, version) => {
  switch (path) {
    case 'chat/completions':
      return { path: '/chat/completions', body: plainChat(body), repair: repairWith(...saidCalls(body), toolCalls()) }
    case 'completions':
      return { path: '/completions', body: withoutSuffix(engine, body, version), repair: null }
    case 'embeddings':
      return { path: '/embeddings', body, repair: embeddingRepair(body) }
    case 'tokenize':
      return countByCompletion(engine, body)
    case 'rerank':
    case 'audio/transcriptions':
    case 'audio/speech':
      throw unsupported(path, engine, insteadOf[path])
    default:
      return path satisfies never
  }
}
