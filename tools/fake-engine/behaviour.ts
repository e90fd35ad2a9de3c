/** How the fake engine behaves: set at the start, changed while it runs, or asked for by one request. */
import { z } from 'zod'

const count = z.int().min(0)
const afterTokens = count.nullable().default(null)
const off = z.boolean().default(false)

const engineKinds = ['vllm', 'llama-cpp', 'ollama', 'sglang', 'tensorrt-llm', 'triton', 'tgi', 'openai'] as const
export type EngineKind = (typeof engineKinds)[number]

/** Every behaviour, its default and meaning. All times are in milliseconds. */
export const Behaviour = z.strictObject({
  dialect: z.enum(engineKinds).default('vllm').describe('Which engine it mimics: routes, shapes, wording, metrics.'),

  tokens: count.default(8).describe('Tokens in an answer, thought not counted, unless the request asks for fewer.'),
  reasoning: count.default(0).describe('Tokens of thought before the answer, where the engine puts them.'),
  callTools: count.default(0).describe('With tools and no forced choice: calls so many of them, one answer.'),
  toolText: z
    .enum(['hermes', 'qwen3-coder', 'llama', 'mistral'])
    .nullable()
    .default(null)
    .describe('The calls of callTools stand in the text as such a model writes them, as without a parser.'),
  callToolsAgain: off.describe('Calls tools also when the request brings results of earlier calls.'),
  echoMessages: off.describe('The answer is the JSON of the messages (or prompt) received.'),
  says: z
    .array(z.strictObject({ when: z.string(), text: z.string() }))
    .default([])
    .describe('Scripted answers: to a last message that holds `when`, this text; the first one that fits.'),
  finish: z.string().nullable().default(null).describe('The finish reason told, whatever the real one.'),

  firstMs: count.default(0).describe('Wait before the first byte.'),
  perPromptTokenMs: count
    .default(0)
    .describe('Takes the prompt in that slowly after that; its counter moves all the while.'),
  gapMs: count.default(0).describe('Wait between tokens.'),
  slow: z.number().positive().default(1).describe('Factor on every wait.'),
  loadingMs: count.default(0).describe('Loads for so long from when it is set: 503, or what the engine does then.'),
  maxConcurrent: z.int().positive().nullable().default(null).describe('Requests answered at once; the rest wait.'),
  maxQueue: count.nullable().default(null).describe('Requests that may wait; the next one is told that it is busy.'),

  hang: off.describe('Takes requests and never answers; running streams fall silent for good; health stays good.'),
  hangHealth: off.describe('Health, models and metrics are never answered.'),
  stallAfter: afterTokens.describe('Falls silent after so many tokens, the connection open.'),
  cutAfter: afterTokens.describe('Destroys the connection after so many tokens.'),
  errorMidStream: afterTokens.describe('Sends an error event after so many tokens (not streaming: HTTP 500).'),
  cutBody: off.describe('Not streaming: promises the whole body, sends half, hangs up.'),
  garbage: off.describe('Answers 200 with something that is neither JSON nor SSE.'),
  status: z.int().min(400).max(599).nullable().default(null).describe('Refuses every request with this HTTP status.'),

  chunkBytes: z.int().positive().nullable().default(null).describe('Cuts streams into pieces of so many bytes.'),
  crlf: off.describe('Ends the lines of events with CRLF.'),
  comments: count.default(0).describe('SSE comments before every event.'),
  pingMs: z.int().positive().nullable().default(null).describe('An SSE comment after each such time, also in silence.'),

  contextLimit: z.int().positive().nullable().default(null).describe('Prompts of more tokens do not fit.'),
  apiKey: z.string().min(1).nullable().default(null).describe('Bearer token that work wants, and pages below /v1.'),
  noUsage: off.describe('Never tells the usage, as old engines that ignore include_usage.'),
  cacheDetails: off.describe('Tells cached prompt tokens where the real engine needs a flag for it.'),
  noVision: off.describe('Refuses images.'),
  noAutoTools: off.describe('Started without what tool calls need: refuses tools, or ignores them.'),
  noMetrics: off.describe('Started without metrics, where they want a flag.'),
  oldMetrics: off.describe('vLLM: metric names of 2024.'),
  oldReasoning: off.describe('vLLM: thought under `reasoning_content`, as until 2025.'),
  toolQuirk: z
    .enum(['no-index', 'no-id', 'same-index', 'object-arguments', 'stop-finish', 'interleaved'])
    .nullable()
    .default(null)
    .describe('A flaw that engines have had in how they tell tool calls.'),
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
