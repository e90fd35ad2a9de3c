/** Health: whether an engine could serve and how busy it is, by a few small GETs that cost it no inference. */
import type { EngineLoad } from '../../../domain/serving/index.ts'
import type { EngineAddress, EngineDialect, Probe, Target, Wire } from '../../../services/serve/index.ts'
import { asText, field, parseJson } from './json.ts'
import { readLoad, type LoadNames } from './load.ts'

type Answer = { status: number; text: string }

/** How one kind of engine is probed. */
export type ProbePlan = {
  /** The route that says whether it could serve; `null`: that it lists its models says so. */
  ready: { path: EngineAddress; judge: (answer: Answer) => Probe | null } | null
  /** Where it tells its load. The first that answers 200 with something known counts; none: it does not say. */
  metrics: readonly MetricsRoute[]
}

export type MetricsRoute = { path: EngineAddress; read: (text: string, served: string | null) => EngineLoad | null }

/** First the route for readiness, then models and metrics at once. An engine without metrics is up all the same. */
export const probeWith =
  ({ ready, metrics }: ProbePlan): EngineDialect['probe'] =>
  async (target, wire, signal) => {
    let asked: string = ready?.path ?? '/models'
    try {
      const verdict = ready === null ? null : ready.judge(await wire.get(target, ready.path, signal))
      if (verdict !== null) return verdict
      asked = '/models'
      const [listed, load] = await Promise.all([
        wire.get(target, '/models', signal),
        askLoad(metrics, { target, wire, signal }),
      ])
      return judgeModels(listed) ?? { state: 'up', load, models: readModels(listed.text) }
    } catch (error) {
      const route = asked.replace('~', '')
      const why = signal.aborted ? `it does not answer GET ${route}` : `it cannot be reached (${codeOf(error)})`
      return { state: 'failed', why }
    }
  }

/** Any OpenAI-compatible address: it lists its models. */
export const probe: EngineDialect['probe'] = probeWith({ ready: null, metrics: [] })

/** A Prometheus page, read by a table of names. */
export const prometheusAt = (path: EngineAddress, names: LoadNames): MetricsRoute => ({
  path,
  read: (text, served) => readLoad(text, names, served),
})

/** Whether a 503 means that weights are still on their way. */
export const saysLoading = ({ status, text }: Answer): boolean =>
  status === 503 && /\b(loading|starting|initiali[sz]ing|warming|not ready)\b/i.test(text)

/** Never rejects: metrics that can't be read say nothing about the engine. */
async function askLoad(
  routes: readonly MetricsRoute[],
  { target, wire, signal }: { target: Target; wire: Wire; signal: AbortSignal },
): Promise<EngineLoad | null> {
  const elsewhere = target.metrics === null ? null : toAddress(target.metrics)
  for (const { path, read } of routes) {
    try {
      const { status, text } = await wire.get(target, elsewhere ?? path, signal)
      const load = status === 200 ? read(text, target.served) : null
      if (load !== null) return load
    } catch {
      // A metrics port that is closed, or an answer too large to be metrics.
    }
  }
  return null
}

/** The spec has checked that it is a whole address. */
const toAddress = (address: string): `http${string}` | null =>
  address.startsWith('http') ? (address as `http${string}`) : null

function judgeModels({ status }: Answer): Probe | null {
  if (status === 503) return { state: 'loading' }
  if (status === 401 || status === 403)
    return { state: 'failed', why: 'it refuses the credentials that the spec gives for it' }
  if (status >= 500) return { state: 'failed', why: `it answers ${status} to GET /models` }
  return null
}

function readModels(text: string): string[] | null {
  const data = field(parseJson(text), 'data')
  if (!Array.isArray(data)) return null
  return data.filter(isLoaded).flatMap((model: unknown) => asText(field(model, 'id')) ?? [])
}

/** llama-server with several models lists also those that it has not loaded. */
function isLoaded(model: unknown): boolean {
  const status = field(field(model, 'status'), 'value')
  return status === undefined || status === 'loaded'
}

/** The system's short name for what went wrong (`ECONNREFUSED`), which people search for. */
function codeOf(error: unknown): string {
  if (error instanceof Error) {
    if ('code' in error && typeof error.code === 'string') return error.code
    return error.message
  }
  return String(error)
}
