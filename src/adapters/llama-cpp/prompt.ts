/** The prompt of a chat: its messages and its tools, as the model reads them. */
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import { describeTools } from './forced-call.ts'
import type { Tool } from './forced-call.ts'
import { Message, toTurns } from './messages.ts'
import type { ChatPrompt, Weights } from './weights.ts'

const FunctionTool = z.looseObject({
  type: z.literal('function'),
  function: z.looseObject({
    name: z.string().regex(/^[a-zA-Z0-9_.-]{1,64}$/, 'must be 1 to 64 of a-z, A-Z, 0-9, _, . and -'),
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
  }),
})

/** What of a request the prompt is made of. */
export const ChatInput = {
  messages: z.array(Message).min(1),
  tools: z.array(FunctionTool).nullish(),
  tool_choice: z
    .union(
      [
        z.enum(['none', 'auto', 'required']),
        z.looseObject({ type: z.literal('function'), function: z.looseObject({ name: z.string() }) }),
      ],
      { error: "must be 'none', 'auto', 'required' or {type: 'function', function: {name}}" },
    )
    .nullish(),
  /** What the template reads besides, `enable_thinking` for one. */
  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
}
const ChatInputObject = z.object(ChatInput)
export type ChatInput = z.output<typeof ChatInputObject>

/** `tools`: those it may call, and must call one of when `isForced`. */
export type Callable = { tools: readonly Tool[]; isForced: boolean }

export function toCallable({ tools: given, tool_choice: choice }: ChatInput): Callable {
  const tools = (given ?? []).map((tool): Tool => ({
    name: tool.function.name,
    description: tool.function.description ?? null,
    parameters: tool.function.parameters ?? { type: 'object', properties: {} },
  }))
  if (choice === 'none') return { tools: [], isForced: false }
  if (choice === 'auto' || choice === null || choice === undefined) return { tools, isForced: false }
  const wanted = choice === 'required' ? tools : tools.filter(tool => tool.name === choice.function.name)
  if (wanted.length > 0) return { tools: wanted, isForced: true }
  const problem =
    choice === 'required'
      ? "tool_choice 'required' needs at least one tool"
      : `tools has no function named '${choice.function.name}'`
  throw new FaultError({ kind: 'request-invalid', param: 'tool_choice', problem })
}

/** Tools are told by the template where it knows them, else in a system text of ours. */
export function renderPrompt(input: ChatInput, { tools }: Callable, weights: Weights): ChatPrompt {
  const { knowsTools, calls } = weights.template()
  const turns = toTurns(input.messages, calls)
  if (tools.length > 0 && !knowsTools) turns.unshift({ role: 'system', text: describeTools(tools) })
  return weights.renderChat(turns, {
    tools: tools.map(tool => ({ type: 'function', function: { ...tool, description: tool.description ?? '' } })),
    settings: input.chat_template_kwargs ?? {},
  })
}
