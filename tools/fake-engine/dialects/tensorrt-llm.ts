/** trtllm-serve: JSON under `/metrics`, Prometheus' text under `/prometheus/metrics`, errors without an envelope. */
import { openai, plainDocument, plainVoice, toHex } from './openai.ts'
import type { Dialect, Facts, Reply } from './dialect.ts'
import { counter, gauge, histogram, metricsReply, toSums } from './prometheus.ts'
import type { Metric } from './prometheus.ts'

const types: Record<number, string> = { 400: 'BadRequestError', 404: 'NotFoundError', 501: 'NotImplementedError' }
const refuse = (status: number, message: string): Reply => ({
  status,
  body: { object: 'error', message, type: types[status] ?? 'InternalServerError', param: null, code: status },
})

const blocks = 4096
const tokensPerBlock = 32

export const tensorrtLlm: Dialect = {
  ...openai,
  headers: { server: 'uvicorn' },
  pages: {
    '/health': () => ({ status: 200, body: undefined }),
    '/health_generate': ({ behaviour }) => (behaviour.hang ? 'silence' : { status: 200, body: undefined }),
    '/version': () => ({ status: 200, body: { version: '1.1.0' } }),
    '/v1/models': ({ model, started }) => ({
      status: 200,
      body: { object: 'list', data: [{ id: model, object: 'model', created: started, owned_by: 'tensorrt_llm' }] },
    }),
    // Statistics of each iteration since they were last asked for; none without `enable_iter_perf_stats`.
    '/metrics': facts => ({ status: 200, body: facts.behaviour.noMetrics ? [] : [iteration(facts)] }),
    '/prometheus/metrics': facts =>
      facts.behaviour.noMetrics
        ? tensorrtLlm.unknownPath
        : metricsReply(metrics(facts), { model_name: facts.model, engine_type: 'trtllm' }, 'python'),
  },
  routes: { '/v1/chat/completions': 'chat', '/v1/completions': 'completion' },
  refuse,
  unknownPath: { status: 404, body: { detail: 'Not Found' } },
  // It knows no keys: what a proxy in front of it says.
  unauthorised: { status: 401, body: { detail: 'Unauthorized' } },
  badJson: problem => ({ status: 400, body: { error: problem } }),
  badBody: problem => ({ status: 400, body: { error: problem } }),
  unknownModel: null,
  contextExceeded: ({ prompt, limit }) =>
    prompt > limit
      ? refuse(
          400,
          `The sum of prompt length (${prompt.toFixed(1)}), query length (0) should not exceed max_num_tokens (${limit})`,
        )
      : null,
  queueFull: refuse(503, 'The executor queue is full.'),
  noVision: () => refuse(500, 'This model does not support multimodal input.'),
  noTools: null,
  noSuffix: refuse(400, 'suffix is not supported'),
  voice: {
    ...plainVoice,
    streamError: body => ({ error: body }),
    document: document => {
      const { tally } = document
      return {
        ...plainDocument({ ...document, tally: null }),
        ...(tally
          ? {
              usage: {
                prompt_tokens: tally.prompt,
                total_tokens: tally.prompt + tally.completion,
                completion_tokens: tally.completion,
                prompt_tokens_details: { cached_tokens: tally.cached },
              },
            }
          : {}),
      }
    },
    callId: (requestId, index) => `chatcmpl-tool-${toHex(requestId, index, 32)}`,
    wholeChoice: (message, { index, logprobs, finish }) => ({
      index,
      message,
      logprobs,
      finish_reason: finish,
      stop_reason: null,
    }),
  },
}

function iteration({ state }: Facts) {
  const used = Math.min(blocks, state.running * 10)
  return {
    iter: state.generationTokens,
    iterLatencyMS: 1,
    gpuMemUsage: 76_665_782_272,
    numActiveRequests: state.running,
    numQueuedRequests: state.waiting,
    maxNumActiveRequests: 2048,
    numCompletedRequests: state.stopped + state.cutByLength,
    kvCacheStats: {
      maxNumBlocks: blocks,
      freeNumBlocks: blocks - used,
      usedNumBlocks: used,
      tokensPerBlock,
      allocTotalBlocks: used,
      allocNewBlocks: used,
      reusedBlocks: 0,
      missedBlocks: 0,
      cacheHitRate: 0,
    },
  }
}

function metrics({ state }: Facts): Metric[] {
  const sums = toSums(state)
  return [
    {
      ...counter('trtllm_request_success_total', 'Count of successfully processed requests.', 0),
      values: [
        { labels: { finished_reason: 'stop' }, value: state.stopped },
        { labels: { finished_reason: 'length' }, value: state.cutByLength },
      ],
    },
    gauge('trtllm_num_requests_running', 'Number of requests running.', state.running),
    gauge('trtllm_num_requests_waiting', 'Number of requests waiting.', state.waiting),
    histogram('trtllm_e2e_request_latency_seconds', 'Histogram of end to end request latency in seconds.', sums.answer),
    histogram('trtllm_time_to_first_token_seconds', 'Histogram of time to first token in seconds.', sums.firstToken),
    histogram('trtllm_request_queue_time_seconds', 'Histogram of time spent in WAITING phase for request.', sums.queue),
    gauge('trtllm_kv_cache_hit_rate', 'KV cache hit rate', state.cachedTokens / Math.max(1, state.promptTokens)),
    gauge('trtllm_kv_cache_utilization', 'KV cache utilization', Math.min(1, (state.running * 10) / blocks)),
    gauge('trtllm_kv_cache_tokens_per_block', 'Tokens in a block of the KV cache', tokensPerBlock),
    gauge('trtllm_kv_cache_max_blocks', 'Blocks of the KV cache', blocks),
  ]
}
