/** A bland OpenAI-compatible address: what the others are told apart from. */
import { createHash } from 'node:crypto'
import { toTokenId } from '../answer.ts'
import type { Ask } from '../request.ts'
import type { Call, ChoiceEnd, Dialect, Document, LogprobToken, Message, Reply, Tally, Voice } from './dialect.ts'

function plainUsage({ prompt, completion, cached, reasoning }: Tally) {
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cached },
    completion_tokens_details: { reasoning_tokens: reasoning },
  }
}

/** `text_completion` for chunks too: only chat has a name of its own for them. */
export const toObject = (object: Document['object']): string =>
  object === 'text_completion.chunk' ? 'text_completion' : object

/** Hexadecimal, the same for the same request. */
export const toHex = (requestId: string, index: number, length: number): string =>
  createHash('sha256').update(`${requestId}/${index}`).digest('hex').slice(0, length)

/** `id object created model choices usage`, which most engines take over. */
export function plainDocument({ object, head, choices, tally }: Document): object {
  const { id, created, model } = head
  return {
    id,
    object: toObject(object),
    created,
    model,
    choices,
    ...(tally ? { usage: plainUsage(tally) } : {}),
  }
}

export const renderCall = ({ id, name, arguments: args }: Call) => ({
  id,
  type: 'function',
  function: { name, arguments: args },
})

export const plainVoice: Voice = {
  document: plainDocument,
  thoughtField: () => 'reasoning_content',
  message: ({ content, thought, calls }: Message, thoughtField) => ({
    role: 'assistant',
    content: calls.length > 0 && content === '' ? null : content,
    ...(thought !== '' && thoughtField !== null ? { [thoughtField]: thought } : {}),
    ...(calls.length > 0 ? { tool_calls: calls.map(renderCall) } : {}),
  }),
  wholeChoice: (message, { index, logprobs, finish }) => ({ index, message, logprobs, finish_reason: finish }),
  chunkChoice: (delta, { index, logprobs, finish }) => ({ index, delta, logprobs, finish_reason: finish }),
  textChoice: (text, { index, logprobs, finish }: ChoiceEnd) => ({ index, text, logprobs, finish_reason: finish }),
  opening: { role: 'assistant', content: '' },
  everyDelta: {},
  closing: {},
  requestId: (route, id) => `${route === 'chat' ? 'chatcmpl' : 'cmpl'}-${id}`,
  callId: (requestId, index) => `call_${toHex(requestId, index, 24)}`,
  calls: 'in-pieces',
  call: renderCall,
  calledFinish: () => 'tool_calls',
  timingsAtEnd: false,
  textUsageAlways: false,
  logprobs: (tokens, route) => (route === 'completion' ? textLogprobs(tokens) : chatLogprobs(tokens)),
  manyChoices: true,
  continuousUsage: false,
  streamError: body => body,
  doneAfterError: true,
}

const errorTypes: Record<number, string> = { 401: 'authentication_error', 429: 'rate_limit_error' }
const refuse = (status: number, message: string, code: string | null = null): Reply => ({
  status,
  body: {
    error: {
      message,
      type: errorTypes[status] ?? (status < 500 ? 'invalid_request_error' : 'server_error'),
      param: null,
      code,
    },
  },
})

/** The wording of llama-server, which is the one that tells; a proxy in front of the others says something like it. */
export const loadingReply: Reply = {
  status: 503,
  body: { error: { message: 'Loading model', type: 'unavailable_error', code: 503 } },
}

export const openai: Dialect = {
  headers: {},
  streamHeaders: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' },
  jsonType: 'application/json',
  pages: {
    '/health': () => ({ status: 200, body: { status: 'ok' } }),
    '/v1/models': ({ model, started }) => ({
      status: 200,
      body: { object: 'list', data: [{ id: model, object: 'model', created: started, owned_by: 'organization' }] },
    }),
  },
  routes: {
    '/v1/chat/completions': 'chat',
    '/v1/completions': 'completion',
    '/v1/embeddings': 'embedding',
    '/v1/audio/transcriptions': 'transcription',
    '/v1/audio/speech': 'speech',
  },
  loading: () => loadingReply,
  isPublic: path => !path.startsWith('/v1/'),
  refuse,
  unknownPath: refuse(404, 'Unknown request URL. Please check the URL for typos.', 'unknown_url'),
  unauthorised: refuse(401, 'Incorrect API key provided.', 'invalid_api_key'),
  badJson: problem => refuse(400, `We could not parse the JSON body of your request. (${problem})`),
  badBody: problem => refuse(400, problem),
  unknownModel: model => refuse(404, `The model '${model}' does not exist.`, 'model_not_found'),
  contextExceeded: ({ prompt, limit }) =>
    prompt > limit
      ? refuse(
          400,
          `This model's maximum context length is ${limit} tokens. However, your messages resulted in ${prompt} tokens. ` +
            'Please reduce the length of the messages.',
          'context_length_exceeded',
        )
      : null,
  queueFull: refuse(429, 'Rate limit reached for requests.', 'rate_limit_exceeded'),
  noVision: () => refuse(400, 'Invalid content type. image_url is only supported by certain models.'),
  takesImage: () => true,
  badImage: refuse(400, 'Invalid image URL.'),
  noTools: () => refuse(400, 'This model does not support tools.'),
  noSuffix: null,
  voice: plainVoice,
  embeddings: (ask, vectors) => ({
    object: 'list',
    data: vectors.map((embedding, index) => ({ object: 'embedding', index, embedding })),
    model: ask.model,
    usage: { prompt_tokens: ask.words.length, total_tokens: ask.words.length },
  }),
  takesBase64: true,
  rerank: (ask, ranked) => ({
    model: ask.model,
    usage: { total_tokens: ask.words.length },
    results: ranked.map(({ index, score, text }) => ({ index, relevance_score: score, document: { text } })),
  }),
  tokenize: ask => ({ tokens: ask.words.map(toTokenId) }),
  inputTokens: (ask: Ask) => ({ input_tokens: ask.words.length }),
}

function chatLogprobs(tokens: readonly LogprobToken[]) {
  return { content: tokens.map(token => ({ ...renderLogprob(token.token, 0), top_logprobs: toTop(token) })) }
}

function textLogprobs(tokens: readonly LogprobToken[]) {
  let offset = 0
  const offsets = tokens.map(({ token }) => {
    const at = offset
    offset += token.length
    return at
  })
  return {
    text_offset: offsets,
    token_logprobs: tokens.map(() => toLogprob(0)),
    tokens: tokens.map(({ token }) => token),
    top_logprobs: tokens.map(token =>
      Object.fromEntries(toTop(token).map(({ token: alternative, logprob }) => [alternative, logprob])),
    ),
  }
}

/** The token itself, then made-up alternatives, each less likely. */
const toTop = ({ token, top }: LogprobToken) =>
  Array.from({ length: top }, (_, place) => renderLogprob(place === 0 ? token : `${token}~${place}`, place))

const renderLogprob = (token: string, place: number) => ({
  token,
  logprob: toLogprob(place),
  bytes: Array.from(Buffer.from(token)),
})

export const toLogprob = (place: number): number => -0.5 * (place + 1)
