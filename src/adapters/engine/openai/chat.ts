/** Chats as engines' templates know them. */
import { isRecord, type Json } from './json.ts'

/**
 * `developer` becomes `system`: most templates pass over a role that they do not know, or refuse it. Of OpenAI's two names
 * for the longest answer the older one, which every engine knows; the newer one counts where both are given.
 */
export function plainChat(body: Json): Json {
  const { max_completion_tokens: longest, ...plain } = body
  const limit = longest ?? plain['max_tokens']
  if (limit !== undefined) plain['max_tokens'] = limit
  const messages = plain['messages']
  if (Array.isArray(messages)) plain['messages'] = messages.map((message: unknown) => withSystem(message))
  return plain
}

const withSystem = (message: unknown): unknown =>
  isRecord(message) && message['role'] === 'developer' ? { ...message, role: 'system' } : message
