/** Where vLLM and llama.cpp differ: wording of errors, health, models, metrics. */
import type { Behaviour } from './behaviour.ts'
import type { FakeState } from './state.ts'

/** An answer that is not made of tokens. A string is sent as plain text. */
export type Reply = { status: number; body: unknown }
type Dialect = {
  health: Reply
  models: (model: string) => unknown
  metrics: (model: string, state: FakeState) => string
  refuse: (status: number, message: string) => Reply
  contextExceeded: (asked: number, limit: number) => Reply
}

const started = Math.floor(Date.now() / 1000)

// Shapes and wording as recorded from llama-server, and as in vLLM's serving code (entrypoints/openai).
const dialects: { readonly [K in Behaviour['dialect']]: Dialect } = {
  'vllm': {
    health: { status: 200, body: '' },
    models: model => ({
      object: 'list',
      data: [{ id: model, object: 'model', created: started, owned_by: 'vllm', root: model, parent: null }],
    }),
    metrics: (model, state) =>
      renderMetrics({ model_name: model }, [
        ['vllm:num_requests_running', 'gauge', state.running],
        ['vllm:num_requests_waiting', 'gauge', state.waiting],
        ['vllm:kv_cache_usage_perc', 'gauge', Math.min(1, state.running / 100)],
        ['vllm:prompt_tokens_total', 'counter', state.promptTokens],
        ['vllm:generation_tokens_total', 'counter', state.generationTokens],
      ]),
    refuse: (status, message) => ({
      status,
      body: { error: { message, type: vllmTypes[status] ?? 'InternalServerError', param: null, code: status } },
    }),
    contextExceeded: (asked, limit) =>
      dialects.vllm.refuse(
        400,
        `This model's maximum context length is ${limit} tokens. However, you requested ${asked} tokens in the messages. ` +
          'Please reduce the length of the messages.',
      ),
  },
  'llama-cpp': {
    health: { status: 200, body: { status: 'ok' } },
    models: model => ({
      models: [{ name: model, model, type: 'model', capabilities: ['completion'] }],
      object: 'list',
      data: [{ id: model, object: 'model', created: started, owned_by: 'llamacpp', meta: { n_ctx_train: 512 } }],
    }),
    metrics: (_, state) =>
      renderMetrics({}, [
        ['llamacpp:requests_processing', 'gauge', state.running],
        ['llamacpp:requests_deferred', 'gauge', state.waiting],
        ['llamacpp:prompt_tokens_total', 'counter', state.promptTokens],
        ['llamacpp:tokens_predicted_total', 'counter', state.generationTokens],
      ]),
    refuse: (status, message) => ({
      status,
      body: { error: { code: status, message, type: llamaTypes[status] ?? 'server_error' } },
    }),
    contextExceeded: (asked, limit) => ({
      status: 400,
      body: {
        error: {
          code: 400,
          message: `request (${asked} tokens) exceeds the available context size (${limit} tokens), try increasing it`,
          type: 'exceed_context_size_error',
          n_prompt_tokens: asked,
          n_ctx: limit,
        },
      },
    }),
  },
}

const vllmTypes: Record<number, string> = { 400: 'BadRequestError', 401: 'Unauthorized', 404: 'NotFoundError' }
const llamaTypes: Record<number, string> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  404: 'not_found_error',
  503: 'unavailable_error',
}

export const speak = (dialect: Behaviour['dialect']): Dialect => dialects[dialect]

/** llama-server's answer on every route while weights load. */
export const stillLoading: Reply = dialects['llama-cpp'].refuse(503, 'Loading model')

function renderMetrics(labels: Record<string, string>, rows: [name: string, type: string, value: number][]): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value}"`)
  const suffix = pairs.length > 0 ? `{${pairs.join(',')}}` : ''
  return rows
    .map(
      ([name, type, value]) =>
        `# HELP ${name} As the real engine counts it.\n# TYPE ${name} ${type}\n${name}${suffix} ${value}\n`,
    )
    .join('')
}
