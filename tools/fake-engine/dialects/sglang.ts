/** SGLang: errors without an envelope, `matched_stop`, thought counted in the usage, scores with their texts. */
import { toTokenId } from '../answer.ts'
import { loadingReply, openai, plainVoice, renderCall, toHex, toObject } from './openai.ts'
import type { Dialect, Document, Facts, Reply, Tally } from './dialect.ts'
import { counter, gauge, histogram, metricsReply, toSums } from './prometheus.ts'
import type { Metric } from './prometheus.ts'

const types: Record<number, string> = { 400: 'BadRequestError', 404: 'NotFoundError', 503: 'ServiceUnavailableError' }
const refuse = (status: number, message: string): Reply => ({
  status,
  body: { object: 'error', message, type: types[status] ?? 'InternalServerError', param: null, code: status },
})

const contextLength = 40_960
const pages = 65_536

export const sglang: Dialect = {
  ...openai,
  headers: { server: 'uvicorn' },
  pages: {
    '/health': () => ({ status: 200, body: undefined }),
    // Makes a token for it: hangs where the scheduler does.
    '/health_generate': ({ behaviour }) => (behaviour.hang ? 'silence' : { status: 200, body: undefined }),
    '/get_server_info': serverInfo,
    '/server_info': serverInfo,
    '/get_model_info': ({ model }) => ({
      status: 200,
      body: { model_path: model, tokenizer_path: model, is_generation: true, preferred_sampling_params: null },
    }),
    '/v1/models': ({ model, started, behaviour }) => ({
      status: 200,
      body: {
        object: 'list',
        data: [
          {
            id: model,
            object: 'model',
            created: started,
            owned_by: 'sglang',
            root: model,
            parent: null,
            max_model_len: behaviour.contextLimit ?? contextLength,
          },
        ],
      },
    }),
    '/metrics': facts =>
      facts.behaviour.noMetrics
        ? sglang.unknownPath
        : metricsReply(metrics(facts), { model_name: facts.model }, 'python'),
  },
  routes: {
    '/v1/chat/completions': 'chat',
    '/v1/completions': 'completion',
    '/v1/embeddings': 'embedding',
    '/v1/rerank': 'rerank',
    '/tokenize': 'tokenize',
    '/v1/tokenize': 'tokenize',
  },
  loading: path => (path.startsWith('/health') ? { status: 503, body: undefined } : loadingReply),
  refuse,
  unknownPath: { status: 404, body: { detail: 'Not Found' } },
  unauthorised: { status: 401, body: { error: 'Unauthorized' } },
  badJson: problem => refuse(400, problem),
  badBody: problem => refuse(400, problem),
  unknownModel: null,
  contextExceeded: ({ prompt, output, limit }) => {
    if (prompt > limit)
      return refuse(400, `The input (${prompt} tokens) is longer than the model's context length (${limit} tokens).`)
    if (output === null || prompt + output <= limit) return null
    return refuse(
      400,
      `Requested token count exceeds the model's maximum context length of ${limit} tokens. You requested a total of ` +
        `${prompt + output} tokens: ${prompt} tokens from the input messages and ${output} tokens for the completion. ` +
        'Please reduce the number of tokens in the input messages or the completion to fit within the limit.',
    )
  },
  queueFull: refuse(503, 'The request queue is full.'),
  noVision: model => refuse(400, `${model} is not a multimodal model`),
  noTools: null,
  noSuffix: null,
  voice: {
    ...plainVoice,
    streamError: body => ({ error: body }),
    document: renderDocument,
    requestId: (_route, id) => toHex(id, 0, 32),
    message: ({ content, thought, calls }) => ({
      role: 'assistant',
      content: calls.length > 0 && content === '' ? null : content,
      reasoning_content: thought === '' ? null : thought,
      tool_calls: calls.length === 0 ? null : calls.map((call, index) => ({ ...renderCall(call), index })),
    }),
    wholeChoice: (message, { index, logprobs, finish }) => ({
      index,
      message,
      logprobs,
      finish_reason: finish,
      matched_stop: finish === 'stop' ? 2 : null,
    }),
    chunkChoice: (delta, { index, logprobs, finish }) => ({
      index,
      delta,
      logprobs,
      finish_reason: finish,
      matched_stop: finish === 'stop' ? 2 : null,
    }),
    textChoice: (text, { index, logprobs, finish }) => ({
      index,
      text,
      logprobs,
      finish_reason: finish,
      matched_stop: finish === 'stop' ? 2 : null,
    }),
    // Absent fields are told as null in every event.
    continuousUsage: true,
    everyDelta: { role: null, content: null, reasoning_content: null, tool_calls: null },
  },
  takesBase64: false,
  rerank: (_ask, ranked) =>
    ranked.map(({ index, score, text }) => ({
      score,
      document: text,
      index,
      meta_info: { id: toHex(text, index, 32), prompt_tokens: 0, e2e_latency: 0 },
    })),
  tokenize: (ask, { behaviour }) => ({
    tokens: ask.words.map(toTokenId),
    count: ask.words.length,
    max_model_len: behaviour.contextLimit ?? contextLength,
  }),
}

function serverInfo({ model, state, behaviour }: Facts): Reply {
  return {
    status: 200,
    body: {
      model_path: model,
      served_model_name: model,
      context_length: behaviour.contextLimit ?? contextLength,
      max_total_num_tokens: pages,
      internal_states: [{ last_gen_throughput: 0, num_running_reqs: state.running }],
      version: '0.5.3',
    },
  }
}

function renderDocument({ object, head, choices, tally, behaviour }: Document): object {
  const { id, created, model } = head
  return {
    id,
    object: toObject(object),
    created,
    model,
    choices,
    usage: tally ? renderUsage(tally, behaviour.cacheDetails) : null,
    ...(object === 'chat.completion' ? { metadata: { weight_version: 'default' } } : {}),
  }
}

const renderUsage = ({ prompt, completion, cached, reasoning }: Tally, details: boolean) => ({
  prompt_tokens: prompt,
  total_tokens: prompt + completion,
  completion_tokens: completion,
  prompt_tokens_details: details ? { cached_tokens: cached } : null,
  reasoning_tokens: reasoning,
})

function metrics({ state }: Facts): Metric[] {
  const sums = toSums(state)
  return [
    counter('sglang:prompt_tokens_total', 'Number of prefill tokens processed.', state.promptTokens),
    counter('sglang:generation_tokens_total', 'Number of generation tokens processed.', state.generationTokens),
    {
      ...counter('sglang:cached_tokens_total', 'Number of cached prompt tokens.', state.cachedTokens),
      values: [{ labels: { cache_source: 'device' }, value: state.cachedTokens }],
    },
    counter('sglang:num_requests_total', 'Number of requests processed.', sums.answer.count),
    counter('sglang:num_aborted_requests_total', 'Number of requests aborted.', state.aborted),
    gauge('sglang:num_running_reqs', 'The number of running requests.', state.running),
    gauge('sglang:num_queue_reqs', 'The number of requests in the waiting queue.', state.waiting),
    gauge('sglang:num_used_tokens', 'The number of used tokens.', state.running * 100),
    gauge('sglang:token_usage', 'The token usage.', Math.min(1, state.running / 100)),
    gauge('sglang:cache_hit_rate', 'The prefix cache hit rate.', state.cachedTokens / Math.max(1, state.promptTokens)),
    gauge('sglang:gen_throughput', 'The generation throughput (token/s).', 0),
    histogram('sglang:time_to_first_token_seconds', 'Histogram of time to first token in seconds.', sums.firstToken),
    histogram('sglang:inter_token_latency_seconds', 'Histogram of inter-token latency in seconds.', sums.betweenTokens),
    histogram('sglang:e2e_request_latency_seconds', 'Histogram of End-to-end request latency in seconds', sums.answer),
    {
      name: 'sglang:cache_config_info',
      type: 'gauge',
      help: 'Cache configuration.',
      values: [{ labels: { page_size: '1', num_pages: String(pages) }, value: 1 }],
    },
  ]
}
