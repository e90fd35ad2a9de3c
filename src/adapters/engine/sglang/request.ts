/** What SGLang is asked. It ranks without `top_n`, sends embeddings as numbers, and counts tokens of prompts only. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import {
  continued,
  continuedFields,
  countByCompletion,
  embeddingRepair,
  insteadOf,
  plainChat,
  plainChatFields,
  ranking,
  reasoning,
  repairWith,
  saidCalls,
  saidCallsOf,
  tokenCount,
  toolCalls,
  unsupported,
  withoutSuffix,
} from '../openai/index.ts'

export const toRequest: EngineDialect['toRequest'] = (path, body, version) => {
  switch (path) {
    case 'chat/completions':
      return {
        path: '/chat/completions',
        body: { ...plainChat(body), ...continued(body) },
        repair: repairWith(reasoning, ...saidCalls(body), toolCalls()),
      }
    case 'completions':
      return { path: '/completions', body: toCompletion(withoutSuffix('SGLang', body, version), body), repair: null }
    case 'embeddings':
      return { path: '/embeddings', body, repair: embeddingRepair(body) }
    case 'rerank':
      return { path: '/rerank', body, repair: repairWith(ranking(body)) }
    case 'tokenize':
      if (body['messages'] !== undefined) return countByCompletion('SGLang', body)
      return {
        path: '~/tokenize',
        body: { model: body['model'], prompt: body['prompt'] },
        repair: repairWith(tokenCount),
      }
    case 'audio/transcriptions':
      return { path: '/audio/transcriptions', body, repair: null }
    case 'audio/speech':
      throw unsupported(path, 'SGLang', insteadOf[path])
    default:
      return path satisfies never
  }
}

export const relay: NonNullable<EngineDialect['relay']> = (path, body) => {
  switch (path) {
    case 'chat/completions': {
      const fields = plainChatFields(body)
      if (fields === null) return null
      const repair = repairWith(reasoning, ...saidCallsOf(body), toolCalls())
      return { path: '/chat/completions', fields: { ...fields, ...continuedFields(body) }, repair }
    }
    case 'completions':
      return body.has('suffix') ? null : { path: '/completions', repair: null }
    case 'embeddings':
      return { path: '/embeddings', repair: embeddingRepair({ encoding_format: body.field('encoding_format') }) }
    default:
      return null
  }
}

/**
 * SGLang drops a `suffix` without a word unless it was started with a completion template, and then renders even prompts
 * that have none; an empty suffix is what leaves a prompt as it is in both cases.
 */
function toCompletion(filled: Record<string, unknown>, body: Record<string, unknown>): Record<string, unknown> {
  return filled['prompt'] === body['prompt'] ? filled : { ...filled, suffix: '' }
}
