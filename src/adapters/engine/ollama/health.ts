/**
 * Ollama's health: it lists what has been pulled, and loads a model when it is asked for, so one that is not loaded is up
 * all the same. It tells no load.
 */
import type { EngineDialect, Target, Wire } from '../../../services/serve/index.ts'
import { asText, field, parseJson, probe as probeModels } from '../openai/index.ts'

export const probe: EngineDialect['probe'] = async (target, wire, signal) => {
  const [found, running] = await Promise.all([probeModels(target, wire, signal), askRunning(target, wire, signal)])
  if (found.state !== 'up') return found
  const { served } = target
  const pulled = found.models
  if (served !== null && pulled !== null && !pulled.some(name => isSame(name, served)))
    return { state: 'failed', why: whenNotPulled(served) }
  const models = running?.map(name => (served !== null && isSame(name, served) ? served : name)) ?? null
  return { state: 'up', load: null, models }
}

export const whenNotPulled = (model: string): string => `it has no model '${model}': run «ollama pull ${model}» there`

/** A name without a tag means `latest`; names are compared without case. */
function isSame(a: string, b: string): boolean {
  return whole(a) === whole(b)
}

function whole(name: string): string {
  const last = name.slice(name.lastIndexOf('/') + 1)
  return (last.includes(':') ? name : `${name}:latest`).toLowerCase()
}

/** The names of the models in memory now; `null`: it does not say, as behind a proxy that passes on `/v1` alone. Never rejects. */
async function askRunning(target: Target, wire: Wire, signal: AbortSignal): Promise<string[] | null> {
  try {
    const { status, text } = await wire.get(target, '~/api/ps', signal)
    const models = status === 200 ? field(parseJson(text), 'models') : null
    return Array.isArray(models) ? models.flatMap((model: unknown) => asText(field(model, 'name')) ?? []) : null
  } catch {
    return null
  }
}
