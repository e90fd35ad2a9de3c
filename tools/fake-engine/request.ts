/** The requests that model routes take, read once: what was asked and how the answer should be made. */
import { z } from 'zod'

const text = z.union([z.string(), z.array(z.looseObject({ type: z.string(), text: z.string().optional() }))])
const Tool = z.looseObject({
  function: z.looseObject({ name: z.string(), parameters: z.record(z.string(), z.unknown()).optional() }),
})
const common = {
  model: z.string().default(''),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: z.int().min(1).nullish(),
}
const Chat = z.looseObject({
  ...common,
  messages: z.array(z.looseObject({ role: z.string(), content: text.nullish() })).min(1),
  max_completion_tokens: z.int().min(1).nullish(),
  tools: z.array(Tool).nullish(),
  tool_choice: z.union([z.string(), z.looseObject({ function: z.looseObject({ name: z.string() }) })]).nullish(),
})
const Completion = z.looseObject({ ...common, prompt: z.union([z.string(), z.array(z.string())]) })
const Embedding = z.looseObject({
  model: z.string().default(''),
  input: z.union([z.string(), z.array(z.string())]),
  encoding_format: z.enum(['float', 'base64']).nullish(),
})

export type Tool = z.output<typeof Tool>

/** One request, with the dialect's shape taken off. */
export type Ask = {
  route: 'chat' | 'completion' | 'embedding'
  model: string
  stream: boolean
  includeUsage: boolean
  maxTokens: number | null
  /** Where a directive may stand: the last user message, the prompt, the first input. */
  lastPrompt: string
  promptTokens: number
  /** The messages, prompt or inputs as received, for `echoMessages`. */
  received: unknown
  inputs: readonly string[]
  base64: boolean
  /** The tool that the request forces. */
  tool: Tool | null
}

export const modelRoutes = {
  '/v1/chat/completions': parseChat,
  '/v1/completions': parseCompletion,
  '/v1/embeddings': parseEmbedding,
} as const

/** A stand-in for a tokenizer that tests can count by hand: one token a word. */
const countTokens = (value: string): number => value.split(/\s+/).filter(word => word !== '').length

function parseChat(body: unknown): Ask {
  const chat = Chat.parse(body)
  const texts = chat.messages.map(message => toText(message.content ?? ''))
  const lastUser = chat.messages.findLastIndex(message => message.role === 'user')
  return {
    ...toCommon(chat),
    route: 'chat',
    maxTokens: chat.max_completion_tokens ?? chat.max_tokens ?? null,
    lastPrompt: texts[lastUser] ?? '',
    promptTokens: countTokens(texts.join(' ')),
    received: chat.messages,
    tool: pickTool(chat),
  }
}

function parseCompletion(body: unknown): Ask {
  const completion = Completion.parse(body)
  const prompt = [completion.prompt].flat().join('\n')
  return {
    ...toCommon(completion),
    route: 'completion',
    lastPrompt: prompt,
    promptTokens: countTokens(prompt),
    received: completion.prompt,
  }
}

function parseEmbedding(body: unknown): Ask {
  const { model, input, encoding_format } = Embedding.parse(body)
  const inputs = [input].flat()
  return {
    ...toCommon({ model }),
    route: 'embedding',
    lastPrompt: inputs[0] ?? '',
    promptTokens: countTokens(inputs.join(' ')),
    received: input,
    inputs,
    base64: encoding_format === 'base64',
  }
}

type Common = { model: string } & Partial<Pick<z.output<typeof Completion>, 'stream' | 'stream_options' | 'max_tokens'>>

function toCommon(body: Common) {
  return {
    model: body.model,
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    maxTokens: body.max_tokens ?? null,
    inputs: [],
    base64: false,
    tool: null,
  }
}

function toText(content: z.output<typeof text>): string {
  return typeof content === 'string' ? content : content.map(part => part.text ?? '').join(' ')
}

function pickTool({ tools, tool_choice: choice }: z.output<typeof Chat>): Tool | null {
  if (!tools || !choice) return null
  if (choice === 'required') return tools[0] ?? null
  if (typeof choice === 'string') return null
  return tools.find(tool => tool.function.name === choice.function.name) ?? null
}
