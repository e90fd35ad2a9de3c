/** How the fake engine behaves: set at the start, changed while it runs, or asked for by one request. */
import { z } from 'zod'

const count = z.int().min(0)
const afterTokens = count.nullable().default(null)

/** Every behaviour, its default and meaning. All times are in milliseconds. */
export const Behaviour = z.strictObject({
  dialect: z.enum(['vllm', 'llama-cpp']).default('vllm').describe('Whose metrics, errors and health bodies it speaks.'),
  tokens: count.default(8).describe('Tokens in an answer, unless the request asks for fewer.'),
  firstMs: count.default(0).describe('Wait before the first byte.'),
  gapMs: count.default(0).describe('Wait between tokens.'),
  slow: z.number().positive().default(1).describe('Factor on every wait.'),
  hang: z.boolean().default(false).describe('Takes requests and never answers; health stays good.'),
  stallAfter: afterTokens.describe('Falls silent after so many tokens, the connection open.'),
  cutAfter: afterTokens.describe('Destroys the connection after so many tokens.'),
  errorMidStream: afterTokens.describe('Sends an error event after so many tokens (not streaming: HTTP 500).'),
  cutBody: z.boolean().default(false).describe('Not streaming: promises the whole body, sends half, hangs up.'),
  garbage: z.boolean().default(false).describe('Answers 200 with something that is neither JSON nor SSE.'),
  status: z.int().min(400).max(599).nullable().default(null).describe('Refuses every request with this HTTP status.'),
  loadingMs: count.default(0).describe('Answers 503 «Loading model» everywhere for so long from when it is set.'),
  contextLimit: z.int().positive().nullable().default(null).describe('Prompts of more tokens are a 400 context error.'),
  maxConcurrent: z.int().positive().nullable().default(null).describe('Requests answered at once; the rest wait.'),
  noUsage: z.boolean().default(false).describe('Never tells the usage.'),
  echoMessages: z.boolean().default(false).describe('The answer is the JSON of the messages (or prompt) received.'),
  apiKey: z.string().min(1).nullable().default(null).describe('Bearer token that model routes want.'),
})
export type Behaviour = z.output<typeof Behaviour>
/** Some behaviours; the others stay as they are. */
export type BehaviourChange = Partial<Behaviour>

/** Throws when `value` has an unknown name or a wrong type, so that a mistyped test fails loudly. */
export function parseBehaviourChange(value: unknown): BehaviourChange {
  const given = z.record(z.string(), z.unknown()).parse(value)
  const whole: Record<string, unknown> = Behaviour.parse(given)
  // Only what was named: the defaults that `parse` filled in must not undo an earlier change.
  return Object.fromEntries(Object.keys(given).map(name => [name, whole[name]]))
}

/** Finds `[[fake:tokens=50,gapMs=20,hang]]` in a prompt; a bare name means `true`. Nothing found: no change. */
export function parseDirective(prompt: string): BehaviourChange {
  const found = /\[\[fake:([^\]]*)\]\]/.exec(prompt)?.[1]
  if (found === undefined) return {}
  const settings = found.split(',').map(setting => {
    const [name = '', value = 'true'] = setting.split('=').map(part => part.trim())
    return [name, fromText(value)]
  })
  return parseBehaviourChange(Object.fromEntries(settings))
}

function fromText(value: string): unknown {
  if (value === 'true') return true
  if (value === 'false') return false
  if (value === 'null') return null
  return value !== '' && Number.isFinite(Number(value)) ? Number(value) : value
}
