/** Health of the embedded engine: it says itself whether its weights are loaded. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { codeOf } from '../openai/index.ts'

export const probe: EngineDialect['probe'] = async (target, wire, signal) => {
  try {
    const { status } = await wire.get(target, '/models', signal)
    if (status === 503) return { state: 'loading' }
    return status === 200 ? { state: 'up' } : { state: 'failed', why: `it answers ${status} to GET /models` }
  } catch (error) {
    return { state: 'failed', why: signal.aborted ? 'it does not answer' : `it is not running (${codeOf(error)})` }
  }
}
