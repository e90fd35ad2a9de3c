/** A request's conversation: what stickiness, affinity and canaries go by (product.md). */
import type { Ask } from './ask.ts'

export type ConversationParts = {
  /** What the client's header says. */
  named: string | null
  /** Who asks: the same words of another person are another conversation. */
  owner: string
  ask: Ask
}

/**
 * The conversation, as a text that is the same for each of its turns: what the client calls it, or the messages up to the
 * first turn of a user, those that `previous_response_id` brought among them. A prompt without messages is its own beginning.
 */
export function conversationOf({ named, owner, ask }: ConversationParts): string {
  return JSON.stringify([owner, named ?? beginningOf(ask.body)])
}

function beginningOf({ messages, prompt, input }: Record<string, unknown>): unknown {
  if (!Array.isArray(messages)) return prompt ?? input ?? null
  const first = messages.findIndex(message => isUsers(message))
  return first === -1 ? messages : messages.slice(0, first + 1)
}

const isUsers = (message: unknown): boolean =>
  typeof message === 'object' && message !== null && 'role' in message && message.role === 'user'
