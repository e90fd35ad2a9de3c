/** OpenAI messages as turns of text: what every chat template understands. */
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'

export type Turn = { role: 'system' | 'user' | 'assistant'; text: string }

const Part = z.looseObject({ type: z.string(), text: z.string().optional() })
const Content = z.union([z.string(), z.array(Part)], { error: 'must be a string or a list of content parts' })
const ToolCall = z.looseObject({
  id: z.string().nullish(),
  function: z.looseObject({ name: z.string(), arguments: z.string() }),
})

export const Message = z.discriminatedUnion(
  'role',
  [
    z.looseObject({ role: z.enum(['system', 'developer']), content: Content }),
    z.looseObject({ role: z.literal('user'), content: Content }),
    z.looseObject({
      role: z.literal('assistant'),
      content: Content.nullish(),
      tool_calls: z.array(ToolCall).nullish(),
    }),
    z.looseObject({ role: z.literal('tool'), content: Content, tool_call_id: z.string().nullish() }),
  ],
  { error: 'role must be one of system, developer, user, assistant, tool' },
)
export type Message = z.output<typeof Message>

/** How the history tells of calls and their results. */
export type CallStyle = 'tagged' | 'json'

/** Throws `unsupported` for anything but text. Tool calls and their results are told as text. */
export function toTurns(messages: readonly Message[], style: CallStyle = 'json'): Turn[] {
  const callNames = new Map<string, string>()
  return messages.map((message, index): Turn => {
    const where = `messages[${index}].content`
    switch (message.role) {
      case 'system':
      case 'developer':
        return { role: 'system', text: toText(message.content, where) }
      case 'user':
        return { role: 'user', text: toText(message.content, where) }
      case 'assistant': {
        const calls = (message.tool_calls ?? []).map(call => {
          if (call.id) callNames.set(call.id, call.function.name)
          return renderPast(call.function.name, call.function.arguments, style)
        })
        const text = toText(message.content ?? '', where)
        return { role: 'assistant', text: [...(text === '' ? [] : [text]), ...calls].join('\n') }
      }
      case 'tool': {
        const name = callNames.get(message.tool_call_id ?? '')
        const result = toText(message.content, where)
        const text =
          style === 'tagged'
            ? `<tool_response>\n${result}\n</tool_response>`
            : `Result of ${name ?? 'the tool'}: ${result}`
        return { role: 'user', text }
      }
      default:
        return message satisfies never
    }
  })
}

/** The text a model writes to call a tool, and the start of the one a forced call is held to (forced-call.ts). */
export const renderCall = (name: string, argumentsJson: string): string =>
  `{"name": ${JSON.stringify(name)}, "arguments": ${argumentsJson}}`

function renderPast(name: string, argumentsJson: string, style: CallStyle): string {
  const call = renderCall(name, argumentsJson)
  return style === 'tagged' ? `<tool_call>\n${call}\n</tool_call>` : call
}

function toText(content: z.output<typeof Content>, where: string): string {
  if (typeof content === 'string') return content
  return content
    .map((part, index) => {
      if (part.type === 'text' && part.text !== undefined) return part.text
      if (part.type === 'refusal' && typeof part['refusal'] === 'string') return part['refusal']
      if (part.type === 'text') {
        throw new FaultError({
          kind: 'request-invalid',
          param: `${where}[${index}].text`,
          problem: `${where}[${index}].text is missing`,
        })
      }
      throw new FaultError({
        kind: 'unsupported',
        what: `A content part of type '${part.type}' (${where}[${index}])`,
        instead: `The embedded engine reads text only: ${insteadOf[part.type] ?? "send parts of type 'text'."}`,
      })
    })
    .join('')
}

const seen = 'serve a model that sees images with vllm, sglang, llama-cpp or ollama.'
const insteadOf: { readonly [type: string]: string } = {
  image_url: seen,
  input_image: seen,
  input_audio: 'serve a model that hears with vllm, sglang or llama-cpp.',
  video_url: 'serve a model that sees videos with vllm or sglang.',
}
