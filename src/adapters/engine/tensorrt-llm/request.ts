/** What trtllm-serve is asked. It refuses any field that it does not know, and counts no tokens of chats. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import {
  countByCompletion,
  embeddingRepair,
  insteadOf,
  plainChat,
  reasoning,
  repairWith,
  saidCalls,
  toolCalls,
  unsupported,
  withoutSuffix,
} from '../openai/index.ts'

const engine = 'TensorRT-LLM'

export const toRequest: EngineDialect['toRequest'] = (path, body, version) => {
  switch (path) {
    case 'chat/completions':
      return {
        path: '/chat/completions',
        body: withoutHints(plainChat(body)),
        repair: repairWith(reasoning, ...saidCalls(body), toolCalls()),
      }
    case 'completions':
      return { path: '/completions', body: withoutHints(withoutSuffix(engine, body, version)), repair: null }
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

/**
 * Fields of OpenAI's that change nothing about an answer here: they are for its own storage, billing and caches.
 * `parallel_tool_calls` older versions refuse and newer ones take without doing anything.
 */
const hints = new Set([
  'metadata',
  'parallel_tool_calls',
  'prompt_cache_key',
  'prompt_cache_retention',
  'safety_identifier',
  'service_tier',
  'store',
])

function withoutHints(body: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(body).filter(([name]) => !hints.has(name)))
}
