/** Health of any OpenAI-compatible address: it lists its models. That costs no inference. */
import type { EngineDialect } from '../../../services/serve/index.ts'

export const probe: EngineDialect['probe'] = async (target, wire, signal) => {
  try {
    const { status } = await wire.get(target, '/models', signal)
    if (status === 503) return { state: 'loading' }
    if (status === 401 || status === 403)
      return { state: 'failed', why: 'it refuses the credentials that the spec gives for it' }
    if (status >= 500) return { state: 'failed', why: `it answers ${status} to GET /models` }
    return { state: 'up' }
  } catch (error) {
    return {
      state: 'failed',
      why: signal.aborted ? 'it does not answer GET /models' : `it cannot be reached (${codeOf(error)})`,
    }
  }
}

/** The system's short name for what went wrong (`ECONNREFUSED`), which people search for. */
function codeOf(error: unknown): string {
  if (error instanceof Error) {
    if ('code' in error && typeof error.code === 'string') return error.code
    return error.message
  }
  return String(error)
}
