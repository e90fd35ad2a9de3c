/** llama-server's errors. Many a client's mistake is a 500 there, and what it was started without is a 501. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { asText, field, parseJson, toFault as toOpenaiFault } from '../openai/index.ts'

export const toFault: EngineDialect['toFault'] = (status, text) => {
  const message = asText(field(field(parseJson(text), 'error'), 'message')) ?? ''
  if (status === 501) return { kind: 'unsupported', what: whatIsMissing(message), instead: remedyOf(message) }
  // No failure of the engine's: all else that it has goes on working.
  if (status === 404 && message === 'File Not Found') return { kind: 'unsupported', ...routeMissing }
  if (status !== 500) return toOpenaiFault(status, text)
  // Another replica would answer the same.
  return isClients(message) ? toOpenaiFault(400, withMessage(text, remedyOf(message))) : toOpenaiFault(status, text)
}

const routeMissing = {
  what: 'This on the llama-server that serves the model, which has no such route,',
  instead: "Newer ones may: update it. If it answers nothing at all, the replica's url in the spec is wrong.",
}

/** What is thrown while it reads a request, as against what goes wrong while it works on one. */
const mistakes: readonly RegExp[] = [
  /^\[json\.exception\./,
  /input is not supported/,
  /is too large to process/,
  /^(Failed to (parse|download)|Unsupported param|Only no echo|Cannot use|Missing |Invalid )/i,
  /requires --jinja/,
  /^"?'?\w+"?'? is required/,
  /\b(jinja|chat template|conversation roles)\b/i,
]
const isClients = (message: string): boolean => mistakes.some(mistake => mistake.test(message))

function whatIsMissing(message: string): string {
  if (message.startsWith('Infill')) return "'suffix' (filling in the middle) on this llama-server's model"
  const route = /does not support (\w+)/.exec(message)?.[1]
  return route === undefined ? 'This request on llama-server' : `What needs ${route} on this llama-server`
}

const remedies: readonly { when: RegExp; say: string }[] = [
  { when: /^Infill/, say: 'Leave out suffix, or ask a model made for code.' },
  { when: /reranking/, say: 'Start llama-server so: engine.flags of the version need reranking: true.' },
  { when: /--embeddings/, say: 'Start llama-server so: engine.flags of the version need embeddings: true.' },
  { when: /--jinja/, say: 'Start llama-server so: engine.flags of the version need jinja: true.' },
  {
    when: /mmproj/,
    say: 'Start llama-server so: engine.flags of the version need mmproj: <the projector of this model>.',
  },
  {
    when: /physical batch size/,
    say: 'Send less at once, or start it with a larger one: ubatch-size in engine.flags of the version.',
  },
]

function remedyOf(message: string): string {
  const remedy = remedies.find(({ when }) => when.test(message))?.say
  const sentence = message === '' || /[.!]\s*$/.test(message) ? message.trim() : `${message}.`
  return [sentence, remedy].filter(part => part !== undefined && part !== '').join(' ')
}

/** The same error with another message. */
function withMessage(text: string, message: string): string {
  const error = field(parseJson(text), 'error')
  return JSON.stringify({ error: { ...(typeof error === 'object' ? error : {}), message, code: null } })
}
