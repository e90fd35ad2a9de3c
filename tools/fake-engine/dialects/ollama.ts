/** Ollama: no metrics, whole tool calls in one event, a prompt that is too long is cut without a word. */
import { openai, plainVoice, renderCall, toHex, toObject } from './openai.ts'
import type { Dialect, Document, Facts, Reply, Tally } from './dialect.ts'

const types: Record<number, string> = { 400: 'invalid_request_error', 404: 'not_found_error' }
const refuse = (status: number, message: string): Reply => ({
  status,
  body: { error: { message, type: types[status] ?? 'api_error', param: null, code: null } },
})

const size = 5_137_025_024
const digest = 'a2af6cc3eb7fa8be8504abaf9b04e88f17a119ec3f04a3addf55f92841195f5a'
const modified = '2025-06-01T12:00:00Z'
const details = {
  parent_model: '',
  format: 'gguf',
  family: 'qwen3',
  families: ['qwen3'],
  parameter_size: '8.2B',
  quantization_level: 'Q4_K_M',
}
const keepAliveMs = 5 * 60_000

export const ollama: Dialect = {
  ...openai,
  streamHeaders: { 'content-type': 'text/event-stream' },
  pages: {
    '/': () => ({ status: 200, body: 'Ollama is running' }),
    '/api/version': () => ({ status: 200, body: { version: '0.11.10' } }),
    '/api/tags': ({ model }) => ({
      status: 200,
      body: { models: [{ name: model, model, modified_at: modified, size, digest, details }] },
    }),
    '/api/ps': facts => ({ status: 200, body: { models: facts.loading ? [] : [renderRunning(facts)] } }),
    '/v1/models': ({ model }) => ({
      status: 200,
      body: {
        object: 'list',
        data: [{ id: model, object: 'model', created: Date.parse(modified) / 1000, owned_by: 'library' }],
      },
    }),
  },
  routes: { '/v1/chat/completions': 'chat', '/v1/completions': 'completion', '/v1/embeddings': 'embedding' },
  // It is up at once; work waits until its model is in memory.
  loading: () => null,
  refuse,
  unknownPath: { status: 404, body: '404 page not found' },
  unauthorised: { status: 401, body: { error: 'unauthorized' } },
  badJson: problem => refuse(400, problem),
  badBody: problem => refuse(400, problem),
  unknownModel: model => refuse(404, `model '${model}' not found`),
  contextExceeded: () => null,
  queueFull: refuse(503, 'server busy, please try again.  maximum pending requests exceeded'),
  noVision: () => refuse(500, 'Failed to create new sequence: this model is missing data required for image input'),
  // It fetches nothing: images come in the request.
  takesImage: url => url.startsWith('data:'),
  badImage: refuse(400, 'invalid image input'),
  noTools: model => refuse(400, `registry.ollama.ai/library/${model} does not support tools`),
  noSuffix: null,
  voice: {
    ...plainVoice,
    document: renderDocument,
    requestId: (route, id) => `${route === 'chat' ? 'chatcmpl' : 'cmpl'}-${id}`,
    thoughtField: () => 'reasoning',
    message: ({ content, thought, calls }) => ({
      role: 'assistant',
      content,
      ...(thought === '' ? {} : { reasoning: thought }),
      ...(calls.length === 0 ? {} : { tool_calls: calls.map((call, index) => renderIndexed(call, index)) }),
    }),
    wholeChoice: (message, { index, finish }) => ({ index, message, finish_reason: finish }),
    chunkChoice: (delta, { index, finish }) => ({ index, delta, finish_reason: finish }),
    textChoice: (text, { index, finish }) => ({ text, index, finish_reason: finish }),
    opening: null,
    everyDelta: { role: 'assistant', content: '' },
    callId: (requestId, index) => `call_${toHex(requestId, index, 8)}`,
    calls: 'whole',
    call: renderIndexed,
    logprobs: () => null,
    manyChoices: false,
  },
}

function renderIndexed(call: Parameters<typeof renderCall>[0], index: number) {
  const { id, type, function: called } = renderCall(call)
  return { id, index, type, function: called }
}

/** Half of it in video memory: what a card tells that is too small. */
function renderRunning({ model, behaviour }: Facts) {
  return {
    name: model,
    model,
    size,
    digest,
    details,
    expires_at: new Date(Date.now() + keepAliveMs).toISOString(),
    size_vram: Math.floor(size / 2),
    context_length: behaviour.contextLimit ?? 4096,
  }
}

function renderDocument({ object, head, choices, tally }: Document): object {
  const { id, created, model } = head
  return {
    id,
    object: toObject(object),
    created,
    model,
    system_fingerprint: 'fp_ollama',
    choices,
    ...(tally ? { usage: renderUsage(tally) } : {}),
  }
}

const renderUsage = ({ prompt, completion }: Tally) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
})
