/** What the embedded engine is asked: OpenAI's shapes are its own, and it refuses by name what it has not. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { insteadOf, plainChat, plainChatFields, repairWith, tokenCount, unsupported } from '../openai/index.ts'

const engine = 'the embedded engine'

export const toRequest: EngineDialect['toRequest'] = (path, body) => {
  switch (path) {
    case 'chat/completions':
      return { path: '/chat/completions', body: plainChat(body), repair: null }
    case 'completions':
      return { path: '/completions', body, repair: null }
    case 'embeddings':
      return { path: '/embeddings', body, repair: null }
    case 'tokenize':
      return { path: '~/tokenize', body, repair: repairWith(tokenCount) }
    case 'rerank':
    case 'audio/transcriptions':
    case 'audio/speech':
      throw unsupported(path, engine, insteadOf[path])
    default:
      return path satisfies never
  }
}

export const relay: NonNullable<EngineDialect['relay']> = (path, body) => {
  switch (path) {
    case 'chat/completions': {
      const fields = plainChatFields(body)
      return fields === null ? null : { path: '/chat/completions', fields, repair: null }
    }
    case 'completions':
    case 'embeddings':
      return { path: `/${path}`, repair: null }
    default:
      return null
  }
}
