/** Ollama's errors: `{error: {message, type}}`, from some routes `{error: "…"}`, and around a runner's own error in JSON. */
import type { Fault } from '../../../domain/fault.ts'
import type { EngineDialect } from '../../../services/serve/index.ts'
import { asText, field, parseJson, toFault as toOpenaiFault } from '../openai/index.ts'
import { whenNotPulled } from './health.ts'

export const toFault: EngineDialect['toFault'] = (status, text) => {
  const error = field(parseJson(text), 'error')
  const message = asText(error) ?? asText(field(error, 'message')) ?? ''
  // Its runner is a llama-server, whose whole error it passes on as a message.
  const inner = field(parseJson(message), 'error')
  if (inner !== undefined) return toFault(status === 500 ? statusOf(inner) : status, JSON.stringify({ error: inner }))

  const missing = /model ['"“]?([^'"”\s]+)['"”]? not found/i.exec(message)?.[1]
  if (missing !== undefined) return { kind: 'engine-failed', status, detail: whenNotPulled(missing) }
  const told = wordings.find(({ when }) => when.test(message))
  return told === undefined ? toOpenaiFault(status, text) : told.fault(message, status)
}

type Wording = { when: RegExp; fault: (message: string, status: number) => Fault }

const wordings: readonly Wording[] = [
  {
    // A load ends with the request that began it; the next one begins it anew.
    when: /client connection closed before server finished loading|timed out waiting for llama runner|context canceled/i,
    fault: message => ({
      kind: 'not-ready',
      why: `Ollama gave up loading the model, as it does when the request that began it ends (${message.slice(0, 200)}). Try again; for a model that loads longer than clients wait, set OLLAMA_LOAD_TIMEOUT, and OLLAMA_KEEP_ALIVE=-1 to keep it loaded`,
    }),
  },
  {
    when: /requires more system memory|not enough (system )?memory|out of memory|unable to allocate/i,
    fault: (message, status) => ({
      kind: 'engine-failed',
      status,
      detail: `the model does not fit into its memory: use a smaller quantisation, less context (OLLAMA_CONTEXT_LENGTH) or a larger machine (in its words: ${message.slice(0, 200)})`,
    }),
  },
  {
    when: /exceeds? (the |maximum )?context length/i,
    fault: (message, status) => ({
      kind: 'engine-refused',
      status: status < 500 ? status : 400,
      message: `${message}. The context is set where Ollama runs: OLLAMA_CONTEXT_LENGTH, or PARAMETER num_ctx in a Modelfile.`,
      param: null,
      code: 'context_length_exceeded',
    }),
  },
  {
    when: /missing data required for image input/i,
    fault: message => ({
      kind: 'engine-refused',
      status: 400,
      message: `This model takes no images: send text, or ask a model with vision. (${message})`,
      param: 'messages',
      code: null,
    }),
  },
  {
    when: /^(invalid message (format|content type)|invalid image input)/i,
    fault: message => ({
      kind: 'engine-refused',
      status: 400,
      message: `Ollama can't read a message (${message}). It takes text, and images as data URLs of JPEG, PNG or WebP.`,
      param: 'messages',
      code: null,
    }),
  },
]

function statusOf(error: unknown): number {
  const code = field(error, 'code')
  return typeof code === 'number' && code >= 400 && code < 600 ? code : 500
}
