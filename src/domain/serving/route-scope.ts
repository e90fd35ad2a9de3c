/** Which scope of a key each route for models falls under. */
import type { RouteScope } from '../access/index.ts'
import type { ModelPath } from './ask.ts'

const scopes: Readonly<Record<ModelPath, RouteScope>> = {
  'chat/completions': 'chat',
  'completions': 'completions',
  'responses': 'responses',
  'messages': 'messages',
  // Counting is part of a conversation in Anthropic's clients.
  'messages/count_tokens': 'messages',
  'embeddings': 'embeddings',
  'rerank': 'rerank',
  'audio/transcriptions': 'audio',
  'audio/speech': 'audio',
  'tokenize': 'tokenize',
}

export const routeScopeOf = (path: ModelPath): RouteScope => scopes[path]
