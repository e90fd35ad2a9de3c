/** What a judge is asked: one prompt, the shape of its answer, and the name under which verdicts remember both. */
import type { ChatMessage } from '../../dialect/index.ts'

export type JudgePrompt = {
  messages: ChatMessage[]
  /** For guided decoding; its properties stand in the order in which they must be said. */
  schema: { name: string; schema: Record<string, unknown> }
  maxTokens: number
}

/** What makes two verdicts comparable. Another pin begins another series. */
export type JudgePin = {
  /** As the service names it. */
  judge: string
  /** The version's digest, where it is known. */
  digest: string | null
  prompt: string
  temperature: 0
  seed: number
}

/** Changed with every word of the prompts below them. */
export const promptVersions = { pair: 'pair-1', rubric: 'rubric-1', claims: 'claims-1' } as const

/** The request as a judge reads it: one text, roles named. Images and sound are named, not shown. */
export function renderRequest(messages: readonly ChatMessage[]): string {
  return messages.map(message => `[${message.role}]\n${renderContent(message)}`).join('\n\n')
}

function renderContent(message: ChatMessage): string {
  const { content } = message
  const text =
    typeof content === 'string'
      ? content
      : (content ?? []).map(part => (part.type === 'text' ? part.text : `[${part.type}]`)).join('\n')
  if (message.role !== 'assistant' || message.tool_calls === undefined) return text
  const calls = message.tool_calls.map(call => `[calls ${call.function.name} with ${call.function.arguments}]`)
  return [text, ...calls].filter(part => part !== '').join('\n')
}
