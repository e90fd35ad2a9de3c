/**
 * llama-server's health and load. `/metrics` wants `--metrics`, `/slots` can be turned off: each tells what it can. One
 * that serves several models (a router) tells them by `model`, and must not load one for a probe.
 */
import type { EngineLoad } from '../../../domain/serving/index.ts'
import { tokens } from '../../../domain/units.ts'
import type { EngineAddress, EngineDialect, Target, Wire } from '../../../services/serve/index.ts'
import { asNumber, field, parseJson, probeWith, prometheusAt, saysLoading, type LoadNames } from '../openai/index.ts'

const names: LoadNames = {
  running: [{ name: 'llamacpp:requests_processing' }],
  waiting: [{ name: 'llamacpp:requests_deferred' }],
  // Gone since 2025.
  kvUse: [{ name: 'llamacpp:kv_cache_usage_ratio' }],
  promptTokens: [{ name: 'llamacpp:prompt_tokens_total' }],
  generatedTokens: [{ name: 'llamacpp:tokens_predicted_total' }],
}
const metrics = prometheusAt('~/metrics', names)

const reach = probeWith({
  ready: {
    path: '~/health',
    judge(answer) {
      if (saysLoading(answer)) return { state: 'loading' }
      return answer.status < 500 ? null : { state: 'failed', why: `it answers ${answer.status} to GET /health` }
    },
  },
  metrics: [],
})

export const probe: EngineDialect['probe'] = async (target, wire, signal) => {
  const ask = (path: EngineAddress | `http${string}`): Promise<string | null> => textAt(path, { target, wire, signal })
  const [found, page, slots] = await Promise.all([
    reach(target, wire, signal),
    ask(metricsOf(target)),
    ask(`~/slots${ofModel(target)}`),
  ])
  return found.state === 'up' ? { ...found, load: readLoad(page, slots) } : found
}

/** Of `/metrics` and `/slots`, what there is of them. */
export function readLoad(page: string | null, slotsText: string | null): EngineLoad | null {
  const told = page === null ? null : metrics.read(page, null)
  const slots = slotsText === null ? null : readSlots(slotsText)
  if (told === null && slots === null) return null
  const busy = slots?.filter(({ isBusy }) => isBusy) ?? null
  return {
    running: told?.running ?? busy?.length ?? null,
    waiting: told?.waiting ?? null,
    kvUse: slots === null ? (told?.kvUse ?? null) : kvUse(slots),
    ...counters(told, busy),
  }
}

/**
 * Its counters stand still while a request is worked on, which would look like an engine that hangs: what the busy slots
 * have done so far is added, and without slots nothing is told.
 */
function counters(
  told: EngineLoad | null,
  busy: readonly Slot[] | null,
): Pick<EngineLoad, 'promptTokens' | 'generatedTokens'> {
  if (told === null || busy === null) return { promptTokens: null, generatedTokens: null }
  // The prompt of a slot that generates is counted already.
  const takenIn = busy.filter(({ made }) => made === 0).reduce((sum, { processed }) => sum + processed, 0)
  const made = busy.reduce((sum, slot) => sum + slot.made, 0)
  return {
    promptTokens: told.promptTokens === null ? null : tokens(told.promptTokens + takenIn),
    generatedTokens: told.generatedTokens === null ? null : tokens(told.generatedTokens + made),
  }
}

type Slot = {
  isBusy: boolean
  /** Tokens it may hold and holds; `null`: not told. */
  size: number | null
  held: number | null
  /** Of the prompt, and of the answer so far. */
  processed: number
  made: number
}

function readSlots(text: string): Slot[] | null {
  const slots = parseJson(text)
  return Array.isArray(slots) ? slots.map((slot: unknown) => readSlot(slot)) : null
}

function readSlot(slot: unknown): Slot {
  const next = field(slot, 'next_token')
  const state: unknown = Array.isArray(next) ? next[0] : next
  return {
    // Older ones number the states.
    isBusy: field(slot, 'is_processing') === true || field(slot, 'state') === 1,
    size: asNumber(field(slot, 'n_ctx')),
    held: asNumber(field(slot, 'n_prompt_tokens')) ?? asNumber(field(slot, 'n_past')),
    processed: asNumber(field(slot, 'n_prompt_tokens_processed')) ?? 0,
    made: asNumber(field(state, 'n_decoded')) ?? 0,
  }
}

/**
 * What requests hold now. What idle slots keep for the next request is given up when it is needed. Slots that share one
 * cache (`--kv-unified`) each have the size of all of it: then less is told than is in use.
 */
function kvUse(slots: readonly Slot[]): number | null {
  if (slots.some(({ isBusy, size, held }) => size === null || (isBusy && held === null))) return null
  const size = slots.reduce((sum, slot) => sum + (slot.size ?? 0), 0)
  const held = slots.filter(({ isBusy }) => isBusy).reduce((sum, slot) => sum + (slot.held ?? 0), 0)
  return size === 0 ? null : Math.min(1, held / size)
}

const ofModel = ({ served }: Target): string =>
  served === null ? '' : `?model=${encodeURIComponent(served)}&autoload=false`

function metricsOf(target: Target): EngineAddress | `http${string}` {
  // The spec has checked that it is a whole address.
  return target.metrics === null ? `~/metrics${ofModel(target)}` : (target.metrics as `http${string}`)
}

/** `null`: it does not tell. Never rejects. */
async function textAt(
  path: EngineAddress | `http${string}`,
  { target, wire, signal }: { target: Target; wire: Wire; signal: AbortSignal },
): Promise<string | null> {
  try {
    const { status, text } = await wire.get(target, path, signal)
    return status === 200 ? text : null
  } catch {
    return null
  }
}
