/** What vLLM is asked. Its rankings and base64 embeddings are what clients want; `suffix` it refuses. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import {
  continued,
  continuedFields,
  isRecord,
  plainChat,
  plainChatFields,
  ranking,
  reasoning,
  repairWith,
  tokenCount,
  toolCalls,
  withoutSuffix,
} from '../openai/index.ts'

export const toRequest: EngineDialect['toRequest'] = (path, body, version) => {
  switch (path) {
    case 'chat/completions':
      return { path: '/chat/completions', body: toChat(body), repair: repairWith(reasoning, toolCalls()) }
    case 'completions':
      return { path: '/completions', body: withoutSuffix('vLLM', body, version), repair: null }
    case 'embeddings':
      return { path: '/embeddings', body, repair: null }
    case 'rerank':
      return { path: '/rerank', body, repair: repairWith(ranking(body)) }
    case 'tokenize':
      return { path: '~/tokenize', body: toTokenize(body), repair: repairWith(tokenCount) }
    // Speech is vLLM-Omni's.
    case 'audio/transcriptions':
    case 'audio/speech':
      return { path: `/${path}`, body, repair: null }
    default:
      return path satisfies never
  }
}

export const relay: NonNullable<EngineDialect['relay']> = (path, body) => {
  switch (path) {
    case 'chat/completions': {
      const fields = plainChatFields(body)
      if (fields === null || body.holdsName('reasoning_content')) return null
      const repair = repairWith(reasoning, toolCalls())
      return { path: '/chat/completions', fields: { ...fields, ...continuedFields(body) }, repair }
    }
    case 'completions':
      return body.has('suffix') ? null : { path: '/completions', repair: null }
    case 'embeddings':
      return { path: '/embeddings', repair: null }
    default:
      return null
  }
}

/** Thought in messages has the field's newer name there, and had the older one until 2026: both are sent. */
function toChat(body: Record<string, unknown>): Record<string, unknown> {
  const plain = plainChat(body)
  const messages = plain['messages']
  if (Array.isArray(messages)) plain['messages'] = messages.map(withThought)
  return { ...plain, ...continued(body) }
}

const withThought = (message: unknown): unknown =>
  isRecord(message) && typeof message['reasoning_content'] === 'string'
    ? { reasoning: message['reasoning_content'], ...message }
    : message

function toTokenize(body: Record<string, unknown>): Record<string, unknown> {
  const { model, prompt, messages } = body
  if (messages === undefined) return { model, prompt }
  const { messages: plain, tools, chat_template_kwargs: kwargs } = plainChat(body)
  return {
    model,
    messages: plain,
    add_generation_prompt: true,
    ...(tools === undefined ? {} : { tools }),
    ...(kwargs === undefined ? {} : { chat_template_kwargs: kwargs }),
  }
}
