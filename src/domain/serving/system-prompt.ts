/** A version's system prompt, put where the engine expects it. Rules P1–P5 in SPEC.md. */
import type { Prompt } from './snapshot.ts'

/** A chat message as clients send it; parts beyond role and content pass through untouched. */
export type Message = { role: string; content?: unknown; [part: string]: unknown }

/** Roles that carry instructions; engines know `system`, and newer clients send `developer`. */
const isSystem = (message: Message): boolean => message.role === 'system' || message.role === 'developer'

/**
 * The messages the engine gets: at most one system message, and that one first.
 * `prepend`: the version's prompt, a blank line, the client's. `default`: only when the client sent none.
 * `replace`: the version's alone. A prompt without text (`p0`) leaves the messages as they are.
 */
export function applySystemPrompt(messages: readonly Message[], prompt: Prompt): readonly Message[] {
  if (prompt.text === '') return messages
  const client = messages.filter(isSystem)
  if (prompt.mode === 'default' && client.length > 0) return messages
  const theirs =
    prompt.mode === 'prepend' ? client.map(message => textOf(message.content)).filter(text => text !== '') : []
  return [
    { role: 'system', content: [prompt.text, ...theirs].join('\n\n') },
    ...messages.filter(message => !isSystem(message)),
  ]
}

/** The text of a content: a string, or parts of which the text ones count. */
function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content
    .map((part: unknown) => (isTextPart(part) ? part.text : ''))
    .filter(text => text !== '')
    .join('\n')
}

function isTextPart(part: unknown): part is { text: string } {
  return typeof part === 'object' && part !== null && 'text' in part && typeof part.text === 'string'
}
