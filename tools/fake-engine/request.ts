/** The requests that engines' routes take, read once: what was asked and how the answer should be made. */
import { z } from 'zod'

const Part = z.looseObject({
  type: z.string(),
  text: z.string().optional(),
  image_url: z.union([z.string(), z.looseObject({ url: z.string() })]).optional(),
})
const text = z.union([z.string(), z.array(Part)])
const Tool = z.looseObject({
  function: z.looseObject({ name: z.string(), parameters: z.record(z.string(), z.unknown()).optional() }),
})
const common = {
  model: z.string().default(''),
  stream: z.boolean().nullish(),
  stream_options: z
    .looseObject({ include_usage: z.boolean().nullish(), continuous_usage_stats: z.boolean().nullish() })
    .nullish(),
  max_tokens: z.int().min(1).nullish(),
  n: z.int().min(1).max(8).nullish(),
}
const messages = z.array(z.looseObject({ role: z.string(), content: text.nullish() }), "'messages' is required").min(1)
const Chat = z.looseObject({
  ...common,
  messages,
  max_completion_tokens: z.int().min(1).nullish(),
  tools: z.array(Tool).nullish(),
  tool_choice: z.union([z.string(), z.looseObject({ function: z.looseObject({ name: z.string() }) })]).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  response_format: z
    .looseObject({
      type: z.string(),
      json_schema: z.looseObject({ schema: z.unknown() }).nullish(),
      // TGI's own form.
      value: z.unknown().optional(),
    })
    .nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).nullish(),
})
const prompt = z.union([z.string(), z.array(z.string()), z.array(z.number())])
const Completion = z.looseObject({
  ...common,
  prompt,
  suffix: z.string().nullish(),
  logprobs: z.int().min(0).nullish(),
})
const Infill = z.looseObject({
  ...common,
  input_prefix: z.string('"input_prefix" is required'),
  input_suffix: z.string('"input_suffix" is required'),
  prompt: z.string().default(''),
  n_predict: z.int().nullish(),
})
const Embedding = z.looseObject({
  model: z.string().default(''),
  input: prompt,
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.int().positive().nullish(),
})
const Document = z.union([z.string(), z.looseObject({ text: z.string() }).transform(document => document.text)])
const Rerank = z.looseObject({
  model: z.string().default(''),
  query: z.string('"query" must be provided'),
  documents: z.array(Document).optional(),
  texts: z.array(Document).optional(),
  top_n: z.int().positive().nullish(),
  return_documents: z.boolean().nullish(),
  return_text: z.boolean().nullish(),
})
const Tokenize = z.looseObject({
  model: z.string().default(''),
  prompt: z.string().optional(),
  content: z.string().optional(),
  inputs: z.string().optional(),
  messages: messages.optional(),
  with_pieces: z.boolean().optional(),
  return_token_strs: z.boolean().nullish(),
})
const Count = z.looseObject({ model: z.string().default(''), messages, system: text.nullish() })
const Speech = z.looseObject({
  model: z.string().default(''),
  input: z.string(),
  response_format: z.enum(['mp3', 'opus', 'aac', 'flac', 'wav', 'pcm']).default('wav'),
})
const Transcription = z.looseObject({
  model: z.string().default(''),
  file: z.object({ name: z.string(), type: z.string(), bytes: z.int() }),
  response_format: z.enum(['json', 'text', 'verbose_json', 'srt', 'vtt']).default('json'),
  prompt: z.string().default(''),
})

export type Tool = z.output<typeof Tool>
export type Route = keyof typeof readers

/** One request, with the dialect's shape taken off. */
export type Ask = {
  route: Route
  model: string
  stream: boolean
  includeUsage: boolean
  /** The usage so far in every event of a stream. */
  continuousUsage: boolean
  maxTokens: number | null
  /** Answers wanted. */
  choices: number
  /** How many alternatives to each token; `null`: no logprobs. */
  logprobs: number | null
  /** Where a directive may stand: the last user message, the prompt, the first input. */
  lastPrompt: string
  /** The prompt's tokens, as words. */
  words: readonly string[]
  /** The messages, prompt or inputs as received, for `echoMessages`. */
  received: unknown
  inputs: readonly string[]
  base64: boolean
  dimensions: number | null
  tools: readonly Tool[]
  /** The tool that the request forces. */
  forced: Tool | null
  /** It forces that one by name. */
  named: boolean
  parallel: boolean
  /** It brings what earlier calls gave. */
  answersCalls: boolean
  /** The JSON Schema that the answer should fit. */
  schema: unknown
  /** Where its images are: `data:` or `https:` addresses. */
  images: readonly string[]
  hasSuffix: boolean
  query: string
  top: number | null
  /** The request as it came, where only the dialect knows its fields. */
  body: Readonly<Record<string, unknown>>
  /** What files should be written as: `wav`, `verbose_json`. */
  format: string
}

const readers = {
  chat: readChat,
  completion: readCompletion,
  infill: readInfill,
  embedding: readEmbedding,
  rerank: readRerank,
  tokenize: readTokenize,
  template: readCount,
  count: readCount,
  transcription: readTranscription,
  speech: readSpeech,
}

/** Throws when the body is not what the route takes. */
export function readAsk(route: Route, body: unknown): Ask {
  const fields = z.record(z.string(), z.unknown()).parse(body)
  return { ...nothing, route, body: fields, ...readers[route](body) }
}

/** A stand-in for a tokenizer that tests can count by hand: one token a word. */
export const toWords = (value: string): string[] => value.split(/\s+/).filter(word => word !== '')

const nothing = {
  model: '',
  stream: false,
  includeUsage: false,
  continuousUsage: false,
  maxTokens: null,
  choices: 1,
  logprobs: null,
  lastPrompt: '',
  words: [],
  received: null,
  inputs: [],
  base64: false,
  dimensions: null,
  tools: [],
  forced: null,
  named: false,
  parallel: true,
  answersCalls: false,
  schema: undefined,
  images: [],
  hasSuffix: false,
  query: '',
  top: null,
  format: '',
} satisfies Partial<Ask>

function readChat(body: unknown): Partial<Ask> {
  const chat = Chat.parse(body)
  const lastUser = chat.messages.findLastIndex(message => message.role === 'user')
  const parts = chat.messages.flatMap(({ content }) => (Array.isArray(content) ? content : []))
  const choice = chat.tool_choice ?? 'auto'
  return {
    ...readCommon(chat),
    ...readMessages(chat.messages),
    maxTokens: chat.max_completion_tokens ?? chat.max_tokens ?? null,
    logprobs: chat.logprobs ? (chat.top_logprobs ?? 0) : null,
    tools: choice === 'none' ? [] : (chat.tools ?? []),
    forced: pickForced(chat),
    named: typeof choice !== 'string',
    parallel: chat.parallel_tool_calls ?? true,
    answersCalls: chat.messages.slice(lastUser + 1).some(message => message.role === 'tool'),
    schema: readSchema(chat.response_format),
    images: parts.flatMap(({ image_url: image }) => (image ? [typeof image === 'string' ? image : image.url] : [])),
  }
}

function readMessages(list: z.output<typeof messages>): Partial<Ask> {
  const texts = list.map(message => toText(message.content ?? ''))
  const lastUser = list.findLastIndex(message => message.role === 'user')
  return { lastPrompt: texts[lastUser] ?? '', words: toWords(texts.join(' ')), received: list }
}

function readCompletion(body: unknown): Partial<Ask> {
  const completion = Completion.parse(body)
  const whole = [completion.prompt].flat().join('\n')
  return {
    ...readCommon(completion),
    logprobs: completion.logprobs ?? null,
    lastPrompt: whole,
    words: toWords(whole),
    received: completion.prompt,
    hasSuffix: typeof completion.suffix === 'string',
  }
}

function readInfill(body: unknown): Partial<Ask> {
  const infill = Infill.parse(body)
  const whole = `${infill.input_prefix} ${infill.prompt} ${infill.input_suffix}`
  const maxTokens = infill.n_predict ?? infill.max_tokens ?? null
  return {
    ...readCommon(infill),
    maxTokens: maxTokens !== null && maxTokens < 0 ? null : maxTokens,
    lastPrompt: whole,
    words: toWords(whole),
    received: { input_prefix: infill.input_prefix, input_suffix: infill.input_suffix },
    hasSuffix: true,
  }
}

function readEmbedding(body: unknown): Partial<Ask> {
  const { model, input, encoding_format, dimensions } = Embedding.parse(body)
  const inputs = [input].flat().map(String)
  return {
    model,
    lastPrompt: inputs[0] ?? '',
    words: toWords(inputs.join(' ')),
    received: input,
    inputs,
    base64: encoding_format === 'base64',
    dimensions: dimensions ?? null,
  }
}

function readRerank(body: unknown): Partial<Ask> {
  const rerank = Rerank.parse(body)
  const inputs = rerank.documents ?? rerank.texts ?? []
  if (inputs.length === 0) throw new Error('"documents" must be a non-empty string array')
  return {
    model: rerank.model,
    query: rerank.query,
    inputs,
    top: rerank.top_n ?? null,
    lastPrompt: rerank.query,
    words: inputs.flatMap(input => [...toWords(rerank.query), ...toWords(input)]),
    received: inputs,
  }
}

function readTokenize(body: unknown): Partial<Ask> {
  const tokenize = Tokenize.parse(body)
  const whole = tokenize.prompt ?? tokenize.content ?? tokenize.inputs ?? ''
  const said = tokenize.messages ? readMessages(tokenize.messages) : { words: toWords(whole), received: whole }
  return { model: tokenize.model, ...said, lastPrompt: '' }
}

function readCount(body: unknown): Partial<Ask> {
  const count = Count.parse(body)
  const said = readMessages(count.messages)
  return {
    ...said,
    model: count.model,
    words: [...toWords(toText(count.system ?? '')), ...(said.words ?? [])],
    lastPrompt: '',
  }
}

function readSpeech(body: unknown): Partial<Ask> {
  const { model, input, response_format } = Speech.parse(body)
  return { model, inputs: [input], lastPrompt: input, words: toWords(input), received: input, format: response_format }
}

function readTranscription(body: unknown): Partial<Ask> {
  const { model, file, prompt: hint, response_format } = Transcription.parse(body)
  return { model, lastPrompt: hint, words: toWords(hint), received: file.name, format: response_format }
}

type Common = { model: string } & Partial<
  Pick<z.output<typeof Completion>, 'stream' | 'stream_options' | 'max_tokens' | 'n'>
>

function readCommon(body: Common): Partial<Ask> {
  return {
    model: body.model,
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    continuousUsage: body.stream_options?.continuous_usage_stats ?? false,
    maxTokens: body.max_tokens ?? null,
    choices: body.n ?? 1,
  }
}

function toText(content: z.output<typeof text>): string {
  return typeof content === 'string' ? content : content.map(part => part.text ?? '').join(' ')
}

function pickForced({ tools, tool_choice: choice }: z.output<typeof Chat>): Tool | null {
  if (!tools || !choice) return null
  if (choice === 'required') return tools[0] ?? null
  if (typeof choice === 'string') return null
  return tools.find(tool => tool.function.name === choice.function.name) ?? null
}

/** `undefined`: any text will do. */
function readSchema(format: z.output<typeof Chat>['response_format']): unknown {
  if (format?.type === 'json_object') return { type: 'object' }
  if (format?.type === 'json') return format.value
  return format?.type === 'json_schema' ? (format.json_schema?.schema ?? {}) : undefined
}
