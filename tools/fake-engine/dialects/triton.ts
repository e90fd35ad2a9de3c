/** Triton's OpenAI front end, with the health and metrics that Triton has on ports of their own served on this one. */
import { openai, plainDocument, plainVoice, toHex } from './openai.ts'
import type { Dialect, Facts, Reply } from './dialect.ts'
import { counter, gauge, metricsReply } from './prometheus.ts'
import type { Metric } from './prometheus.ts'

const refuse = (status: number, message: string): Reply => ({ status, body: { detail: message } })

const empty: Reply = { status: 200, body: undefined }
const notReady: Reply = { status: 400, body: undefined }
const blocks = 6239
const tokensPerBlock = 64

export const triton: Dialect = {
  ...openai,
  headers: { server: 'uvicorn' },
  pages: {
    '/health/ready': () => empty,
    '/v2/health/live': () => empty,
    '/v2/health/ready': () => empty,
    '/v2/models/{model}/ready': () => empty,
    '/v1/models': ({ model, started }) => ({
      status: 200,
      body: {
        object: 'list',
        data: [{ id: model, created: started, object: 'model', owned_by: 'Triton Inference Server' }],
      },
    }),
    '/metrics': facts => (facts.behaviour.noMetrics ? triton.unknownPath : metricsReply(metrics(facts), {}, 'plain')),
  },
  routes: { '/v1/chat/completions': 'chat', '/v1/completions': 'completion', '/v1/embeddings': 'embedding' },
  loading: path => {
    if (path === '/v2/health/live') return empty
    if (path.startsWith('/v2/')) return notReady
    return refuse(400, 'Attached inference engine is not ready for inference requests.')
  },
  refuse,
  unknownPath: refuse(404, 'Not Found'),
  unauthorised: refuse(401, 'Unauthorized'),
  badJson: problem => refuse(422, problem),
  badBody: problem => refuse(422, problem),
  unknownModel: model => refuse(400, `Unknown model: ${model}`),
  contextExceeded: ({ prompt, limit }) =>
    prompt > limit
      ? refuse(
          400,
          `Encountered an error when fetching new request: Prompt length (${prompt}) exceeds maximum input length (${limit}).`,
        )
      : null,
  queueFull: refuse(400, 'Exceeds maximum queue size'),
  noVision: () => refuse(422, "Input should be a valid string: 'image_url' is not supported"),
  noTools: null,
  noSuffix: refuse(400, 'suffix is not currently supported'),
  voice: {
    ...plainVoice,
    document: document => {
      const { tally } = document
      return {
        ...plainDocument({ ...document, tally: null }),
        system_fingerprint: null,
        ...(tally
          ? {
              usage: {
                prompt_tokens: tally.prompt,
                completion_tokens: tally.completion,
                total_tokens: tally.prompt + tally.completion,
              },
            }
          : {}),
      }
    },
    requestId: (_route, id) => `cmpl-${id}`,
    // It has no parser for thought.
    thoughtField: () => null,
    callId: (requestId, index) => `cmpl-${toHex(requestId, index, 32)}`,
    calledFinish: named => (named ? 'stop' : 'tool_calls'),
    // What is raised while it streams ends the connection.
    streamError: null,
    manyChoices: false,
  },
}

/** The model that runs behind the names clients use. */
const backend = { model: 'tensorrt_llm', version: '1' }

function metrics({ state }: Facts): Metric[] {
  const answered = state.stopped + state.cutByLength
  const used = Math.min(blocks, state.running * 10)
  const rows: Metric[] = [
    counter('nv_inference_request_success', 'Number of successful inference requests, all batch sizes', answered),
    counter('nv_inference_request_failure', 'Number of failed inference requests, all batch sizes', state.cut),
    counter('nv_inference_count', 'Number of inferences performed (does not include cached requests)', answered),
    gauge(
      'nv_inference_pending_request_count',
      'Instantaneous number of pending requests awaiting execution per-model.',
      state.waiting,
    ),
    counter(
      'nv_inference_request_duration_us',
      'Cumulative inference request duration in microseconds (includes cached requests)',
      Math.round(state.answerMs * 1000),
    ),
  ]
  return [
    ...rows.map(row => ({ ...row, values: row.values.map(value => ({ ...value, labels: backend })) })),
    family(['nv_trt_llm_request_metrics', 'TRT LLM request metrics'], 'request_type', {
      waiting: state.waiting,
      context: 0,
      scheduled: state.running,
      max: 512,
      active: state.running + state.waiting,
    }),
    family(['nv_trt_llm_runtime_memory_metrics', 'TRT LLM runtime memory metrics'], 'memory_type', {
      pinned: 0,
      gpu: 1_610_236,
      cpu: 0,
    }),
    family(['nv_trt_llm_kv_cache_block_metrics', 'TRT LLM KV cache block metrics'], 'kv_cache_block_type', {
      fraction: used / blocks,
      tokens_per: tokensPerBlock,
      used,
      free: blocks - used,
      max: blocks,
    }),
    family(
      ['nv_trt_llm_inflight_batcher_metrics', 'TRT LLM inflight_batcher-specific metrics'],
      'inflight_batcher_specific_metric',
      { micro_batch_id: 0, generation_requests: state.running, total_context_tokens: 0 },
    ),
  ]
}

function family([name, help]: [string, string], label: string, values: Record<string, number>): Metric {
  return {
    name,
    help,
    type: 'gauge',
    values: Object.entries(values).map(([kind, value]) => ({ labels: { ...backend, [label]: kind }, value })),
  }
}
