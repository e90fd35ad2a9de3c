/** Everything of a request but its conversation and tools: how to answer, and what to do with the answer. Rules S2 and S3. */
import type { ChatRequest } from '../chat.ts'
import { told } from './content.ts'
import { fieldReader, isBetween, isFlag, isJson, isList, isText, type Json, type Refuse } from './refuse.ts'

export type Settings = {
  /** As engines know it. */
  chat: Partial<ChatRequest> & { model: string }
  /** What the response repeats of the request. */
  asked: Json
  instructions: string | null
  previousId: string | null
  parallel: boolean | null
  store: boolean
  encryptsThought: boolean
}

export function readSettings(body: Json, refuse: Refuse): Settings {
  refuseOthers(body, refuse)
  const read = fieldReader(body, '', refuse)
  const model = read.text('model', 'the name of a model')
  const instructions = read.optional('instructions', isText, 'a string')
  const previousId = read.optional('previous_response_id', isText, 'the id of a response, a string')
  const stream = read.optional('stream', isFlag, 'true or false')
  const store = read.optional('store', isFlag, 'true or false') ?? true
  const parallel = read.optional('parallel_tool_calls', isFlag, 'true or false')
  const most = read.optional('max_output_tokens', isCount, 'a whole number above 0')
  const temperature = read.optional('temperature', isBetween(0, 2), 'a number from 0 to 2')
  const topP = read.optional('top_p', isBetween(0, 1), 'a number from 0 to 1')
  const metadata = read.optional('metadata', isLabels, 'an object of strings') ?? {}
  const user = read.optional('user', isText, 'a string')
  const safetyId = read.optional('safety_identifier', isText, 'a string')
  const cacheKey = read.optional('prompt_cache_key', isText, 'a string')
  const include = read.optional('include', isList, 'an array of strings') ?? []
  read.optional('truncation', isTruncation, "'auto' or 'disabled'")
  const { effort, summary } = readReasoning(read.optional('reasoning', isJson, 'an object'), refuse)
  const text = readTextFormat(read.optional('text', isJson, 'an object'), refuse)

  return {
    chat: {
      ...passedThrough(body),
      ...given({
        stream,
        max_tokens: most,
        temperature,
        top_p: topP,
        reasoning_effort: effort,
        response_format: text.chat,
        user: user ?? safetyId,
      }),
      model,
    },
    asked: {
      model,
      instructions,
      max_output_tokens: most,
      max_tool_calls: null,
      metadata,
      parallel_tool_calls: parallel ?? true,
      previous_response_id: previousId,
      prompt_cache_key: cacheKey,
      reasoning: { effort, summary },
      safety_identifier: safetyId,
      service_tier: 'default',
      store,
      temperature,
      text: text.asked,
      top_logprobs: 0,
      top_p: topP,
      // Nothing is ever cut from a conversation: what is too long for an engine is refused.
      truncation: 'disabled',
      user,
    },
    instructions,
    previousId,
    parallel,
    store,
    encryptsThought: include.includes('reasoning.encrypted_content'),
  }
}

function readReasoning(reasoning: Json | null, refuse: Refuse): { effort: string | null; summary: string | null } {
  const read = fieldReader(reasoning ?? {}, 'reasoning', refuse)
  return {
    effort: read.optional('effort', isText, "a string, such as 'low', 'medium' or 'high'"),
    summary: read.optional('summary', isText, "a string, such as 'auto'"),
  }
}

/** `text`: what the engine is asked for (`null`: plain text), and what the response repeats. */
function readTextFormat(text: Json | null, refuse: Refuse): { chat: Json | null; asked: Json } {
  const read = fieldReader(text ?? {}, 'text', refuse)
  const verbosity = read.optional('verbosity', isText, "'low', 'medium' or 'high'")
  const format = read.optional('format', isJson, 'an object') ?? { type: 'text' }
  const asked = { format, ...given({ verbosity }) }
  switch (format['type']) {
    case 'text':
      return { chat: null, asked }
    case 'json_object':
      return { chat: { type: 'json_object' }, asked }
    case 'json_schema':
      return { chat: { type: 'json_schema', json_schema: readSchema(format, refuse) }, asked }
    default:
      refuse(
        'text.format.type',
        `'text.format.type' must be 'text', 'json_object' or 'json_schema'; it is ${told(format['type'])}.`,
      )
      return { chat: null, asked }
  }
}

function readSchema(format: Json, refuse: Refuse): Json {
  const read = fieldReader(format, 'text.format', refuse)
  const schema = read.optional('schema', isJson, 'a JSON schema, an object')
  if (schema === null) refuse('text.format.schema', "'text.format.schema' must be a JSON schema, an object.")
  return {
    name: read.text('name', "the schema's name"),
    ...given({
      description: read.optional('description', isText, 'a string'),
      schema,
      strict: read.optional('strict', isFlag, 'true or false'),
    }),
  }
}

/** What this API calls otherwise than chat completions do. */
const moved: Readonly<Record<string, string>> = {
  messages: 'input',
  max_tokens: 'max_output_tokens',
  max_completion_tokens: 'max_output_tokens',
  response_format: 'text.format',
  reasoning_effort: 'reasoning.effort',
  functions: 'tools',
  function_call: 'tool_choice',
}

function refuseOthers(body: Json, refuse: Refuse): void {
  for (const [name, here] of Object.entries(moved)) {
    if (body[name] !== undefined)
      refuse(name, `'${name}' belongs to /v1/chat/completions; in the Responses API it is '${here}'.`)
  }
  const { background, conversation, prompt, top_logprobs: logprobs, n } = body
  if (background === true)
    refuse('background', "'background' is not supported: nothing runs here once its client is gone. Use 'stream'.")
  if (conversation !== undefined && conversation !== null)
    refuse('conversation', "'conversation' is not supported. Name the answer to go on from in 'previous_response_id'.")
  if (prompt !== undefined && prompt !== null)
    refuse('prompt', "'prompt' names a template of its vendor's. Send its text as 'instructions' and 'input'.")
  if (logprobs !== undefined && logprobs !== null && logprobs !== 0)
    refuse('top_logprobs', "'top_logprobs' is not supported here. Use 'logprobs' of /v1/chat/completions.")
  if (n !== undefined && n !== null && n !== 1) refuse('n', "'n' is not supported: a response is one answer.")
}

/** Parameters of the API itself; all others are the engine's own (`top_k`, `seed`, …) and reach it as they are. */
const ownParameters: ReadonlySet<string> = new Set([
  ...Object.keys(moved),
  'access_programs',
  'background',
  'client_metadata',
  'context_management',
  'conversation',
  'include',
  'input',
  'instructions',
  'max_output_tokens',
  'max_tool_calls',
  'metadata',
  'model',
  'moderation',
  'n',
  'parallel_tool_calls',
  'previous_response_id',
  'prompt',
  'prompt_cache_key',
  'prompt_cache_options',
  'prompt_cache_retention',
  'reasoning',
  'safety_identifier',
  'service_tier',
  'store',
  'stream',
  'stream_options',
  'temperature',
  'text',
  'tool_choice',
  'tools',
  'top_logprobs',
  'top_p',
  'truncation',
  'user',
])

const passedThrough = (body: Json): Json =>
  Object.fromEntries(Object.entries(body).filter(([name]) => !ownParameters.has(name)))

/** Without what was left out. */
function given<T extends Record<string, unknown>>(fields: T): { [Name in keyof T]?: NonNullable<T[Name]> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined)
  // The entries of `fields` but for those that are null.
  return Object.fromEntries(entries) as { [Name in keyof T]?: NonNullable<T[Name]> }
}

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value > 0
const isTruncation = (value: unknown): value is string => value === 'auto' || value === 'disabled'
const isLabels = (value: unknown): value is Json => isJson(value) && Object.values(value).every(isText)
