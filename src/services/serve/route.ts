/** Route: the model's live version, and a wait for it while its engines load. */
import { FaultError } from '../../domain/fault.ts'
import type { Fleet } from './fleet.ts'
import type { Exchange, Stage } from './exchange.ts'

export const route =
  (fleet: Fleet): Stage =>
  next =>
  async exchange => {
    const { model } = exchange
    if (model === null) throw new TypeError('route comes after admit')
    const version = fleet.version(model.live)
    if (version === null) throw new TypeError(`the snapshot has no version ${model.live}`)
    exchange.version = version
    if (fleet.pick(version, nobody) === null && !(await awaitReplica(fleet, exchange)))
      throw new FaultError(fleet.noReplica(model, version))
    await next(exchange)
  }

const nobody: ReadonlySet<never> = new Set()

/**
 * Waits in the model's queue for a replica that is starting or loading; `false`: none came in time, or none can.
 * An engine that somebody else runs and is down is not waited for.
 */
export async function awaitReplica(fleet: Fleet, exchange: Exchange): Promise<boolean> {
  const { model, version } = exchange
  if (model === null || version === null) throw new TypeError('no route yet')
  const waiting = fleet.whenUsable(version, model)
  let interrupted: Error | null = null
  exchange.interrupt = why => {
    interrupted = why
    waiting.cancel()
  }
  const usable = await waiting.promise
  exchange.interrupt = null
  if (interrupted !== null) throw interrupted
  return usable
}
