/** Text Generation Inference: its own errors with their kind, no request ids, its own names for everything else. */
import { toTokenId } from '../answer.ts'
import { openai, plainVoice, renderCall, toObject } from './openai.ts'
import type { Call, Dialect, Document, Facts, Reply } from './dialect.ts'
import { counter, gauge, histogram, metricsReply, toSums } from './prometheus.ts'
import type { Metric } from './prometheus.ts'

const kinds: Record<number, string> = { 422: 'validation', 424: 'generation', 429: 'overloaded', 503: 'healthcheck' }
const refuse = (status: number, message: string): Reply => ({
  status,
  body: { error: message, error_type: kinds[status] ?? 'generation' },
})

const totalTokens = 4096
const fingerprint = '3.3.6-native'

export const tgi: Dialect = {
  ...openai,
  streamHeaders: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' },
  pages: {
    '/health': () => ({ status: 200, body: undefined }),
    '/ping': () => ({ status: 200, body: undefined }),
    '/info': info,
    '/v1/models': ({ model }) => ({
      status: 200,
      body: { object: 'list', data: [{ id: model, object: 'model', created: 0, owned_by: model }] },
    }),
    '/metrics': facts => metricsReply(metrics(facts), {}, 'plain'),
  },
  routes: {
    '/v1/chat/completions': 'chat',
    '/v1/completions': 'completion',
    '/tokenize': 'tokenize',
    '/chat_tokenize': 'tokenize',
    // Of its sister for embeddings and rankings.
    '/v1/embeddings': 'embedding',
    '/rerank': 'rerank',
  },
  loading: () => refuse(503, 'unhealthy'),
  refuse,
  unknownPath: { status: 404, body: undefined },
  unauthorised: { status: 401, body: undefined },
  badJson: problem => ({ status: 400, body: `Failed to parse the request body as JSON: ${problem}` }),
  badBody: problem => ({
    status: 422,
    body: `Failed to deserialize the JSON body into the target type: ${problem}`,
  }),
  unknownModel: null,
  contextExceeded: ({ prompt, output, limit }) => {
    if (prompt > limit)
      return refuse(422, `Input validation error: \`inputs\` must have less than ${limit} tokens. Given: ${prompt}`)
    if (output === null || prompt + output <= limit) return null
    return refuse(
      422,
      `Input validation error: \`inputs\` tokens + \`max_new_tokens\` must be <= ${limit}. Given: ${prompt} \`inputs\` ` +
        `tokens and ${output} \`max_new_tokens\``,
    )
  },
  queueFull: refuse(429, 'Model is overloaded'),
  noVision: () => refuse(422, 'Input validation error: This model does not support image inputs'),
  noTools: null,
  noSuffix: refuse(422, 'Input validation error: Suffix is not supported'),
  voice: {
    ...plainVoice,
    document: renderDocument,
    requestId: () => '',
    // It has no parser for thought.
    thoughtField: () => null,
    message: ({ content, calls }) => ({
      role: 'assistant',
      ...(calls.length > 0 ? { tool_calls: calls.map(renderTgiCall) } : { content }),
    }),
    opening: null,
    everyDelta: { role: 'assistant' },
    doneAfterError: false,
    callId: (_requestId, index) => String(index),
    call: renderTgiCall,
    manyChoices: false,
  },
  takesBase64: false,
  rerank: (_ask, ranked) => ranked.map(({ index, score }) => ({ index, score })),
  tokenize: ask => {
    let start = 0
    const tokens = ask.words.map(word => {
      const token = { id: toTokenId(word), text: word, start, stop: start + word.length }
      start = token.stop + 1
      return token
    })
    // Of a chat it also tells the text that its template made.
    return ask.body['messages'] === undefined
      ? tokens
      : { tokenize_response: tokens, templated_text: ask.words.join(' ') }
  },
}

function renderTgiCall(call: Call) {
  const { id, type, function: called } = renderCall(call)
  return { id, type, function: { description: null, ...called } }
}

function info({ model, behaviour }: Facts): Reply {
  const total = behaviour.contextLimit ?? totalTokens
  return {
    status: 200,
    body: {
      model_id: model,
      model_sha: null,
      model_pipeline_tag: 'text-generation',
      max_concurrent_requests: behaviour.maxConcurrent ?? 128,
      max_best_of: 2,
      max_stop_sequences: 4,
      max_input_tokens: total - 1,
      max_total_tokens: total,
      validation_workers: 2,
      max_client_batch_size: 4,
      router: 'text-generation-router',
      version: '3.3.6',
      sha: null,
      docker_label: null,
    },
  }
}

function renderDocument({ object, head, choices, tally }: Document): object {
  const { id, created, model } = head
  return {
    object: toObject(object),
    id,
    created,
    model,
    system_fingerprint: fingerprint,
    choices,
    usage: tally
      ? {
          prompt_tokens: tally.prompt,
          completion_tokens: tally.completion,
          total_tokens: tally.prompt + tally.completion,
        }
      : null,
  }
}

function metrics({ state }: Facts): Metric[] {
  const sums = toSums(state)
  return [
    counter('tgi_request_count', 'Total number of requests', state.received),
    counter('tgi_request_success', 'Number of successful requests', sums.answer.count),
    gauge('tgi_queue_size', 'Current number of requests in the queue', state.waiting),
    gauge('tgi_batch_current_size', 'Current batch size', state.running),
    histogram('tgi_request_input_length', 'Input token length per request', sums.promptTokens),
    histogram('tgi_request_generated_tokens', 'Generated tokens per request', sums.generatedTokens),
    histogram('tgi_request_duration', 'Request duration', sums.answer),
    histogram('tgi_request_queue_duration', 'Request queue duration', sums.queue),
    histogram('tgi_request_mean_time_per_token_duration', 'Mean time per token per request', {
      count: sums.answer.count,
      sum: sums.betweenTokens.sum / Math.max(1, sums.betweenTokens.count),
    }),
  ]
}
