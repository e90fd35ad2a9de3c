/** vLLM: its OpenAI-compatible server, as in its serving code (entrypoints/openai) and metrics of 2025. */
import { toTokenId } from '../answer.ts'
import { openai, plainVoice, renderCall, toHex, toObject } from './openai.ts'
import type { Dialect, Document, Reply, Tally } from './dialect.ts'
import { metricsReply } from './prometheus.ts'
import { vllmMetrics, vllmOldMetrics } from './vllm-metrics.ts'

const types: Record<number, string> = { 400: 'BadRequestError', 401: 'Unauthorized', 404: 'NotFoundError' }
const refuse = (status: number, message: string): Reply => ({
  status,
  body: { error: { message, type: types[status] ?? 'InternalServerError', param: null, code: status } },
})

/** `--max-model-len`, when no `contextLimit` is set. */
const maxModelLen = 4096

export const vllm: Dialect = {
  ...openai,
  headers: { server: 'uvicorn' },
  pages: {
    '/health': () => ({ status: 200, body: undefined }),
    '/ping': () => ({ status: 200, body: undefined }),
    '/version': () => ({ status: 200, body: { version: '0.11.0' } }),
    '/v1/models': ({ model, started, behaviour }) => ({
      status: 200,
      body: {
        object: 'list',
        data: [
          {
            id: model,
            object: 'model',
            created: started,
            owned_by: 'vllm',
            root: model,
            parent: null,
            max_model_len: behaviour.contextLimit ?? maxModelLen,
            permission: [],
          },
        ],
      },
    }),
    '/metrics': facts =>
      facts.behaviour.oldMetrics
        ? metricsReply(vllmOldMetrics(facts), { model_name: facts.model }, 'python')
        : metricsReply(vllmMetrics(facts), { model_name: facts.model, engine: '0' }, 'python'),
  },
  routes: {
    ...openai.routes,
    '/tokenize': 'tokenize',
    '/rerank': 'rerank',
    '/v1/rerank': 'rerank',
    '/v2/rerank': 'rerank',
  },
  refuse,
  unknownPath: { status: 404, body: { detail: 'Not Found' } },
  unauthorised: { status: 401, body: { error: 'Unauthorized' } },
  badJson: problem => refuse(400, problem),
  badBody: problem => refuse(400, problem),
  unknownModel: model => refuse(404, `The model \`${model}\` does not exist.`),
  contextExceeded: ({ prompt, output, limit }) => {
    const start = `This model's maximum context length is ${limit} tokens.`
    if (prompt > limit)
      return refuse(
        400,
        `${start} However, your request has ${prompt} input tokens. Please reduce the length of the input messages.`,
      )
    if (output === null || prompt + output <= limit) return null
    return refuse(
      400,
      `${start} However, you requested ${output} output tokens and your prompt contains at least ${prompt} input tokens, ` +
        `for a total of at least ${prompt + output} tokens. Please reduce the length of the input prompt or the number ` +
        `of requested output tokens. (parameter=input_tokens, value=${prompt})`,
    )
  },
  queueFull: refuse(503, 'The server is overloaded. Please retry later.'),
  noVision: model => refuse(400, `${model} is not a multimodal model`),
  noTools: () => refuse(400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
  noSuffix: refuse(400, 'suffix is not currently supported'),
  voice: {
    ...plainVoice,
    document: renderDocument,
    thoughtField: ({ oldReasoning }) => (oldReasoning ? 'reasoning_content' : 'reasoning'),
    message: ({ content, thought, calls }, field) => ({
      role: 'assistant',
      content: calls.length > 0 && content === '' ? null : content,
      refusal: null,
      annotations: null,
      audio: null,
      function_call: null,
      tool_calls: calls.map(renderCall),
      ...(field === null ? {} : { [field]: thought === '' ? null : thought }),
    }),
    wholeChoice: (message, { index, logprobs, finish }) => ({
      index,
      message,
      logprobs,
      finish_reason: finish,
      stop_reason: null,
      token_ids: null,
    }),
    chunkChoice: (delta, { index, logprobs, finish }) => ({
      index,
      delta,
      logprobs,
      finish_reason: finish,
      ...(finish === null ? {} : { stop_reason: null }),
    }),
    textChoice: (text, { index, logprobs, finish }) => ({
      index,
      text,
      logprobs,
      finish_reason: finish,
      stop_reason: null,
    }),
    closing: { content: '' },
    continuousUsage: true,
    callId: (requestId, index) => `chatcmpl-tool-${toHex(requestId, index, 32)}`,
    // A tool that the request names ends with `stop`; `required` and the model's own choice do not.
    calledFinish: named => (named ? 'stop' : 'tool_calls'),
  },
  embeddings: (ask, vectors) => ({
    id: `embd-${toHex(ask.lastPrompt, 0, 32)}`,
    object: 'list',
    created: Math.floor(Date.now() / 1000),
    model: ask.model,
    data: vectors.map((embedding, index) => ({ index, object: 'embedding', embedding })),
    usage: {
      prompt_tokens: ask.words.length,
      total_tokens: ask.words.length,
      completion_tokens: 0,
      prompt_tokens_details: null,
    },
  }),
  rerank: (ask, ranked) => ({
    id: `rerank-${toHex(ask.query, 0, 32)}`,
    model: ask.model,
    usage: { prompt_tokens: ask.words.length, total_tokens: ask.words.length },
    results: ranked.map(({ index, score, text }) => ({
      index,
      document: { text, multi_modal: null },
      relevance_score: score,
    })),
  }),
  tokenize: (ask, { behaviour }) => ({
    count: ask.words.length,
    max_model_len: behaviour.contextLimit ?? maxModelLen,
    tokens: ask.words.map(toTokenId),
    token_strs: ask.body['return_token_strs'] === true ? ask.words : null,
  }),
}

function renderDocument({ object, head, choices, tally, behaviour }: Document): object {
  const { id, created, model } = head
  const fields = { id, object: toObject(object), created, model, choices }
  if (object === 'chat.completion.chunk' || object === 'text_completion.chunk')
    return { ...fields, ...(tally ? { usage: renderUsage(tally, behaviour.cacheDetails) } : {}) }
  return {
    ...fields,
    service_tier: null,
    system_fingerprint: null,
    ...(tally ? { usage: { prompt_tokens_details: null, ...renderUsage(tally, behaviour.cacheDetails) } } : {}),
    ...(object === 'chat.completion' ? { prompt_logprobs: null, prompt_token_ids: null } : {}),
    kv_transfer_params: null,
  }
}

function renderUsage({ prompt, completion, cached }: Tally, details: boolean) {
  return {
    prompt_tokens: prompt,
    total_tokens: prompt + completion,
    completion_tokens: completion,
    ...(details ? { prompt_tokens_details: { cached_tokens: cached } } : {}),
  }
}
