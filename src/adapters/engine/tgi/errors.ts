/** TGI's errors: `{error, error_type}`. It answers 424 to a request that its model server failed at. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { toFault as toOpenaiFault } from '../openai/index.ts'

export const toFault: EngineDialect['toFault'] = (status, text) => {
  if (status !== 424) return toOpenaiFault(status, text)
  // Elsewhere that is a 500: another replica is tried.
  const fault = toOpenaiFault(500, text)
  return fault.kind === 'engine-failed' ? { ...fault, status } : fault
}
