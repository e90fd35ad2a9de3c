/** Asks: what a client's body must say before a gateway can route it, and what an engine gets of it. */
import type { Fault } from '../fault.ts'
import type { ModelRoute, VersionRoute } from './snapshot.ts'
import { applySystemPrompt, type Message } from './system-prompt.ts'
import type { Tokens } from '../units.ts'

/** What engines are asked for, by OpenAI's path below `/v1` where there is one. */
export type EnginePath =
  | 'chat/completions'
  | 'completions'
  | 'embeddings'
  | 'rerank'
  | 'tokenize'
  | 'audio/transcriptions'
  | 'audio/speech'

/** The routes that clients use for that, by their path below `/v1`. */
export type ModelPath = EnginePath | 'responses' | 'messages' | 'messages/count_tokens'

/** A body that was understood as far as routing needs. The rest of it is the engine's to judge. */
export type Ask = {
  path: EnginePath
  model: string
  stream: boolean
  /** The client wants the usage chunk of a stream. */
  wantsUsage: boolean
  /** Of a plain one it is made when it is first asked for. */
  readonly body: Readonly<Record<string, unknown>>
  /** The same as it came, when it could be understood without being parsed. */
  readonly plain?: PlainBody
}

/** What of a body can be known without parsing it. */
export interface PlainFields {
  /** A message has that newer name of the client's system prompt for its role. */
  readonly hasDeveloper: boolean
  has(name: string): boolean
  /** Parsed for whoever asks; `undefined`: there is none. */
  field(name: string): unknown
  /** Whether a field's name, anywhere in it, may be this. */
  holdsName(name: string): boolean
}

/** A JSON object that was not parsed: where its fields are is known, and that all of it is as it should be. */
export interface PlainBody extends PlainFields {
  readonly promptTokens: Tokens
  /** At least one, each with a role, and with a content, if any, that is a text or parts. */
  readonly hasMessages: boolean
  /** One of the messages is the client's own system prompt, by either name of that role. */
  readonly hasSystem: boolean
  /** A field that is a text or a list, and not empty. */
  hasText(name: string): boolean
  /** The bytes of it with these changes, and the rest as it came; a text: all of them are ASCII. */
  with(changes: BodyChanges): string | Uint8Array
}

/** Fields that are set, or left out (`undefined`), and a message that comes before all others; `null`: none does. */
export type BodyChanges = { fields: Readonly<Record<string, unknown>>; firstMessage: Message | null }

export type ParsedAsk = { ok: true; ask: Ask } | { ok: false; fault: Fault }

/** Those whose answer is made token by token, so that it can be streamed and sampled. */
const generates: readonly EnginePath[] = ['chat/completions', 'completions']

const longestName = 256

/** Those that have a system prompt. */
const converses: readonly EnginePath[] = ['chat/completions', 'tokenize']

/** Reads a parsed JSON body. Refuses what no engine could take, naming the parameter. */
export function parseAsk(path: EnginePath, body: unknown): ParsedAsk {
  if (!isRecord(body)) return invalid(null, 'The request body must be a JSON object.')
  const { model, stream, stream_options: streamOptions } = body
  if (typeof model !== 'string' || model === '')
    return invalid('model', "'model' must be the name of a model, a string.")
  if (model.length > longestName) return invalid('model', "'model' is longer than the 256 characters a name may have.")
  if (stream !== undefined && stream !== null && typeof stream !== 'boolean')
    return invalid('stream', "'stream' must be true or false.")
  if (streamOptions !== undefined && streamOptions !== null && !isRecord(streamOptions))
    return invalid('stream_options', "'stream_options' must be an object.")
  const problem = problems[path](body)
  if (problem !== null) return invalid(...problem)
  return {
    ok: true,
    ask: {
      path,
      model,
      stream: stream === true && generates.includes(path),
      wantsUsage: isRecord(streamOptions) && streamOptions['include_usage'] === true,
      body,
    },
  }
}

/** As `parseAsk`, of a body that was not parsed, where it can be told so that it is right; `null`: `parseAsk` has to say. */
export function parsePlainAsk(path: EnginePath, plain: PlainBody, parse: () => Ask['body']): Ask | null {
  const [model, stream, options] = [plain.field('model'), plain.field('stream'), plain.field('stream_options')]
  if (typeof model !== 'string' || model === '' || model.length > longestName) return null
  if (typeof stream !== 'boolean' && (stream ?? null) !== null) return null
  if ((options ?? null) !== null && !isRecord(options)) return null
  if (!isPlain(path, plain)) return null
  const wantsUsage = isRecord(options) && options['include_usage'] === true
  return new PlainAsk({ path, model, stream: stream === true && generates.includes(path), wantsUsage, plain }, parse)
}

/** A class: a getter of an object's own would cost more than all else that is done for it. */
class PlainAsk implements Ask {
  readonly path: EnginePath
  readonly model: string
  readonly stream: boolean
  readonly wantsUsage: boolean
  readonly plain: PlainBody
  readonly #parse: () => Ask['body']
  #parsed: Ask['body'] | null = null

  constructor(
    { path, model, stream, wantsUsage, plain }: Omit<Ask, 'body'> & { plain: PlainBody },
    parse: () => Ask['body'],
  ) {
    this.path = path
    this.model = model
    this.stream = stream
    this.wantsUsage = wantsUsage
    this.plain = plain
    this.#parse = parse
  }

  get body(): Ask['body'] {
    return (this.#parsed ??= this.#parse())
  }
}

/** Of the paths whose bodies grow. */
function isPlain(path: EnginePath, plain: PlainBody): boolean {
  if (path === 'chat/completions') return plain.hasMessages
  if (path === 'completions') return plain.hasText('prompt')
  return path === 'embeddings' && plain.hasText('input')
}

/**
 * The body an engine gets: the version's sampling where the client left it out, the system prompt (conversations only),
 * the engine's own name for the model, and usage always asked of streams: the journal needs it.
 */
export function toEngineBody(ask: Ask, model: ModelRoute, version: VersionRoute): Record<string, unknown> {
  const body: Record<string, unknown> = { ...ask.body, model: version.servedName ?? model.name }
  if (generates.includes(ask.path)) {
    for (const [name, value] of Object.entries(version.sampling)) body[name] ??= value
  }
  if (Array.isArray(ask.body['messages']) && converses.includes(ask.path)) {
    // parseAsk has seen to it that these are messages.
    body['messages'] = applySystemPrompt(ask.body['messages'] as Message[], version.prompt)
  }
  if (ask.stream) {
    const options = ask.body['stream_options']
    body['stream_options'] = { ...(isRecord(options) ? options : {}), include_usage: true }
  }
  return body
}

/** What `toEngineBody` changes in a plain body; `null`: more than can be told so. */
export function toEngineChanges(
  { path, stream }: Pick<Ask, 'path' | 'stream'>,
  plain: PlainBody,
  { model, version }: { model: ModelRoute; version: VersionRoute },
): BodyChanges | null {
  const fields: Record<string, unknown> = { model: version.servedName ?? model.name }
  if (generates.includes(path)) {
    for (const [name, value] of Object.entries(version.sampling))
      if ((plain.field(name) ?? null) === null) fields[name] = value
  }
  if (stream) {
    const options = plain.field('stream_options')
    fields['stream_options'] = { ...(isRecord(options) ? options : {}), include_usage: true }
  }
  const { text, mode } = version.prompt
  if (text === '' || !converses.includes(path) || (plain.hasSystem && mode === 'default'))
    return { fields, firstMessage: null }
  return plain.hasSystem ? null : { fields, firstMessage: { role: 'system', content: text } }
}

/** The body as it is with these changes. */
export const changedFields = (plain: PlainBody, { fields }: BodyChanges): PlainFields => ({
  hasDeveloper: plain.hasDeveloper,
  has: name => fields[name] !== undefined || plain.has(name),
  field: name => fields[name] ?? plain.field(name),
  holdsName: name => plain.holdsName(name),
})

/** One field of what was asked, without parsing all of it. */
export const fieldOf = (ask: Pick<Ask, 'body' | 'plain'>, name: string): unknown =>
  ask.plain === undefined ? ask.body[name] : ask.plain.field(name)

type Problem = [param: string, problem: string]

/** What is wrong with a body of each path; `null`: nothing that a gateway could know. */
const problems: { readonly [P in EnginePath]: (body: Record<string, unknown>) => Problem | null } = {
  'chat/completions': ({ messages }) => messagesProblem(messages),
  'completions': ({ prompt }) =>
    isPrompt(prompt) ? null : ['prompt', "'prompt' must be a string or an array of strings or tokens."],
  'embeddings': ({ input }) =>
    isPrompt(input) ? null : ['input', "'input' must be a string or an array of strings or tokens, and not empty."],
  'rerank': rerankProblem,
  'tokenize': ({ messages, prompt }) => {
    if (messages !== undefined) return messagesProblem(messages)
    return typeof prompt === 'string' ? null : ['prompt', "Give 'prompt', a string, or 'messages', a conversation."]
  },
  'audio/transcriptions': () => null,
  'audio/speech': ({ input }) =>
    typeof input === 'string' && input !== '' ? null : ['input', "'input' must be the text to speak, a string."],
}

function messagesProblem(messages: unknown): Problem | null {
  if (!Array.isArray(messages) || messages.length === 0)
    return ['messages', "'messages' must be an array of at least one message."]
  for (const [index, message] of messages.entries()) {
    if (!isRecord(message) || typeof message['role'] !== 'string')
      return ['messages', `'messages[${index}]' must be an object with a 'role', a string.`]
    const content = message['content']
    if (content !== undefined && content !== null && typeof content !== 'string' && !Array.isArray(content))
      return ['messages', `'messages[${index}].content' must be a string or an array of parts.`]
  }
  return null
}

function rerankProblem({ query, documents, top_n: topN }: Record<string, unknown>): Problem | null {
  if (typeof query !== 'string' || query === '') return ['query', "'query' must be a text to compare with, a string."]
  if (!Array.isArray(documents) || documents.length === 0)
    return ['documents', "'documents' must be an array of at least one text."]
  const odd = documents.findIndex(
    document => typeof document !== 'string' && !(isRecord(document) && typeof document['text'] === 'string'),
  )
  if (odd !== -1) return ['documents', `'documents[${odd}]' must be a string, or an object with a 'text'.`]
  if (topN !== undefined && topN !== null && !(typeof topN === 'number' && Number.isSafeInteger(topN) && topN > 0))
    return ['top_n', "'top_n' must be a whole number above 0."]
  return null
}

function isPrompt(value: unknown): boolean {
  return (typeof value === 'string' && value !== '') || (Array.isArray(value) && value.length > 0)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(param: string | null, problem: string): ParsedAsk {
  return { ok: false, fault: { kind: 'request-invalid', param, problem } }
}
