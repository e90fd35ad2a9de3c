/** Chats as engines' templates know them. */
import type { BodyChanges, PlainFields } from '../../../domain/serving/index.ts'
import { isRecord, type Json } from './json.ts'

/**
 * `developer` becomes `system`: most templates pass over a role that they do not know, or refuse it. Of OpenAI's two names
 * for the longest answer the older one, which every engine knows; the newer one counts where both are given. That an answer
 * goes on from the last message is left out: engines do it by themselves, or are told in their own way (`continued`).
 */
export function plainChat(body: Json): Json {
  const { max_completion_tokens: longest, continue_final_message: _, ...plain } = body
  const limit = longest ?? plain['max_tokens']
  if (limit !== undefined) plain['max_tokens'] = limit
  const messages = plain['messages']
  if (Array.isArray(messages)) plain['messages'] = messages.map((message: unknown) => withSystem(message))
  return plain
}

/** What `plainChat` changes in a body that is not parsed; `null`: messages. */
export function plainChatFields(body: PlainFields): BodyChanges['fields'] | null {
  if (body.hasDeveloper) return null
  const limit = body.field('max_completion_tokens') ?? body.field('max_tokens')
  return {
    continue_final_message: undefined,
    max_completion_tokens: undefined,
    ...(limit === undefined ? {} : { max_tokens: limit }),
  }
}

/** `continued` of a body that is not parsed. */
export const continuedFields = (body: PlainFields): BodyChanges['fields'] =>
  continued({ continue_final_message: body.field('continue_final_message') })

/** What makes engines with these fields go on from the assistant's last message instead of beginning another. */
export function continued({ continue_final_message: goesOn }: Json): Json {
  return goesOn === true ? { continue_final_message: true, add_generation_prompt: false } : {}
}

const withSystem = (message: unknown): unknown =>
  isRecord(message) && message['role'] === 'developer' ? { ...message, role: 'system' } : message
