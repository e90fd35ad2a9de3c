/** llama-server: held to the recordings of the real program, field by field. */
import { toTokenId } from '../answer.ts'
import { llamaMetrics, llamaProps, llamaSlots } from './llama-cpp-pages.ts'
import { loadingReply, openai, plainVoice, renderCall, toHex, toLogprob } from './openai.ts'
import type { Dialect, Document, LogprobToken, Reply, Tally } from './dialect.ts'

const types: Record<number, string> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  501: 'not_supported_error',
  503: 'unavailable_error',
}
const refuse = (status: number, message: string): Reply => ({
  status,
  body: { error: { code: status, message, type: types[status] ?? 'server_error' } },
  headers: { connection: 'close' },
})
/** What its HTTP layer refuses itself has its fields in another order. */
const refuseEarly = (status: number, message: string): Reply => ({
  status,
  body: { error: { message, type: types[status] ?? 'server_error', code: status } },
  headers: { connection: 'close' },
})

const vocabulary = { n_vocab: 1536, n_ctx_train: 512, n_embd: 192, n_params: 2_066_112, size: 2_200_320 }
const build = 'b1-de3ff81'

export const llamaCpp: Dialect = {
  ...openai,
  headers: { 'server': 'llama.cpp', 'access-control-allow-origin': '' },
  streamHeaders: { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' },
  jsonType: 'application/json; charset=utf-8',
  pages: {
    '/health': () => ({ status: 200, body: { status: 'ok' } }),
    '/v1/health': () => ({ status: 200, body: { status: 'ok' } }),
    '/models': facts => ({ status: 200, body: renderModels(facts.model, facts.started) }),
    '/v1/models': facts => ({ status: 200, body: renderModels(facts.model, facts.started) }),
    '/props': llamaProps,
    '/slots': llamaSlots,
    '/metrics': facts =>
      facts.behaviour.noMetrics
        ? refuse(501, 'This server does not support metrics endpoint. Start it with `--metrics`')
        : llamaMetrics(facts),
  },
  routes: {
    '/v1/chat/completions': 'chat',
    '/chat/completions': 'chat',
    '/v1/completions': 'completion',
    '/infill': 'infill',
    '/v1/embeddings': 'embedding',
    '/rerank': 'rerank',
    '/reranking': 'rerank',
    '/v1/rerank': 'rerank',
    '/v1/reranking': 'rerank',
    '/tokenize': 'tokenize',
    '/apply-template': 'template',
    '/v1/messages/count_tokens': 'count',
    '/chat/completions/input_tokens': 'count',
    '/v1/chat/completions/input_tokens': 'count',
  },
  loading: () => ({ ...loadingReply, headers: { connection: 'close' } }),
  isPublic: path => path === '/health' || path === '/v1/health',
  refuse,
  unknownPath: refuseEarly(404, 'File Not Found'),
  unauthorised: refuseEarly(401, 'Invalid API Key'),
  // As recorded: the client's mistake is its own fault.
  badJson: problem => refuse(500, `[json.exception.parse_error.101] parse error at line 1, ${problem}`),
  badBody: problem => refuse(400, problem),
  unknownModel: null,
  contextExceeded: ({ prompt, limit }) =>
    prompt > limit
      ? {
          status: 400,
          body: {
            error: {
              code: 400,
              message: `request (${prompt} tokens) exceeds the available context size (${limit} tokens), try increasing it`,
              type: 'exceed_context_size_error',
              n_prompt_tokens: prompt,
              n_ctx: limit,
            },
          },
          headers: { connection: 'close' },
        }
      : null,
  queueFull: refuse(503, 'no slot available'),
  noVision: () =>
    refuse(500, 'image input is not supported - hint: if this is unexpected, you may need to provide the mmproj'),
  noTools: () => refuse(500, 'tools param requires --jinja flag'),
  noSuffix: refuse(500, 'Unsupported param: suffix'),
  voice: {
    ...plainVoice,
    document: renderDocument,
    thoughtField: () => 'reasoning_content',
    message: ({ content, thought, calls }) => ({
      role: 'assistant',
      content,
      ...(thought === '' ? {} : { reasoning_content: thought }),
      ...(calls.length === 0
        ? {}
        : { tool_calls: calls.map(call => ({ type: 'function', function: renderCall(call).function, id: call.id })) }),
    }),
    wholeChoice: (message, { index, logprobs, finish }) => ({
      finish_reason: finish,
      index,
      message,
      ...(logprobs === null ? {} : { logprobs }),
    }),
    chunkChoice: (delta, { index, logprobs, finish }) => ({
      finish_reason: finish,
      index,
      delta,
      ...(logprobs === null ? {} : { logprobs }),
    }),
    textChoice: (text, { index, logprobs, finish }) => ({ text, index, logprobs, finish_reason: finish }),
    opening: { role: 'assistant', content: null },
    requestId: (_route, id) => `chatcmpl-${id}`,
    callId: (requestId, index) => toHex(requestId, index, 32),
    calls: 'head-with-first-piece',
    timingsAtEnd: true,
    textUsageAlways: true,
    doneAfterError: false,
    logprobs: tokens => ({ content: tokens.map(renderLogprob) }),
  },
  embeddings: (ask, vectors) => ({
    model: ask.model,
    object: 'list',
    usage: { prompt_tokens: ask.words.length, total_tokens: ask.words.length },
    data: vectors.map((embedding, index) => ({
      embedding,
      index,
      object: 'embedding',
      ...(typeof embedding === 'string' ? { encoding_format: 'base64' } : {}),
    })),
  }),
  rerank: (ask, ranked) => {
    // The shape of text-embeddings-inference, when asked in its words.
    if (ask.body['texts'] !== undefined)
      return ranked.map(({ index, score, text }) => ({
        index,
        score,
        ...(ask.body['return_text'] === true ? { text } : {}),
      }))
    return {
      model: ask.model,
      object: 'list',
      usage: { prompt_tokens: ask.words.length, total_tokens: ask.words.length },
      results: ranked.map(({ index, score }) => ({ index, relevance_score: score })),
    }
  },
  inputTokens: (ask, path) => ({
    input_tokens: ask.words.length,
    ...(path.startsWith('/v1/messages') ? {} : { object: 'response.input_tokens' }),
  }),
  tokenize: ask => ({
    tokens: ask.words.map(word =>
      ask.body['with_pieces'] === true ? { id: toTokenId(word), piece: word } : toTokenId(word),
    ),
  }),
}

function renderModels(model: string, started: number) {
  const { n_vocab, ...sizes } = vocabulary
  const meta = { vocab_type: 1, n_vocab, n_ctx: sizes.n_ctx_train, ...sizes, ftype: 'Q8_0' }
  return {
    models: [
      {
        name: model,
        model,
        modified_at: '',
        size: '',
        digest: '',
        type: 'model',
        description: '',
        tags: [''],
        capabilities: ['completion'],
        parameters: '',
        details: {
          parent_model: '',
          format: 'gguf',
          family: '',
          families: [''],
          parameter_size: '',
          quantization_level: '',
        },
      },
    ],
    object: 'list',
    data: [{ id: model, aliases: [model], tags: [], object: 'model', created: started, owned_by: 'llamacpp', meta }],
  }
}

function renderDocument({ object, head, choices, tally, last }: Document): object {
  const { id, created, model } = head
  const usage = tally ? { usage: renderUsage(tally) } : {}
  switch (object) {
    case 'chat.completion':
    case 'text_completion':
      return { choices, created, model, system_fingerprint: build, object, ...usage, id, ...renderTimings(tally) }
    case 'text_completion.chunk':
      return {
        choices,
        created,
        model,
        system_fingerprint: build,
        object: 'text_completion',
        ...usage,
        id,
        ...renderTimings(tally),
      }
    case 'chat.completion.chunk':
      return {
        choices,
        created,
        id,
        model,
        system_fingerprint: build,
        object,
        ...(choices.length === 0 ? usage : {}),
        ...(last ? renderTimings(tally) : {}),
      }
    default:
      return object satisfies never
  }
}

function renderUsage({ prompt, completion, cached }: Tally) {
  return {
    completion_tokens: completion,
    prompt_tokens: prompt,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cached },
  }
}

/** The first token comes from the prompt's own pass, so one token fewer is timed than was made. */
export function renderTimings(tally: Tally | null): { timings?: object } {
  if (tally === null) return {}
  const { cached, completion, promptMs, generationMs } = tally
  const processed = tally.prompt - cached
  const timed = Math.max(1, completion - 1)
  return {
    timings: {
      cache_n: cached,
      prompt_n: processed,
      prompt_ms: promptMs,
      prompt_per_token_ms: promptMs / Math.max(1, processed),
      prompt_per_second: (1000 / promptMs) * processed,
      predicted_n: completion,
      predicted_ms: generationMs,
      predicted_per_token_ms: generationMs / timed,
      predicted_per_second: (1000 / generationMs) * timed,
    },
  }
}

function renderLogprob({ token, top }: LogprobToken) {
  const at = (text: string, place: number) => ({
    id: toTokenId(text),
    token: text,
    bytes: Array.from(Buffer.from(text)),
    logprob: toLogprob(place),
  })
  return {
    ...at(token, 0),
    top_logprobs: Array.from({ length: top }, (_, place) => at(place === 0 ? token : `${token}~${place}`, place)),
  }
}
