/** Route: the model's live version, and a wait for it while its engines load. */
import { FaultError } from '../../domain/fault.ts'
import type { Fleet } from './fleet.ts'
import { ClientGone, type Exchange, type Stage } from './exchange.ts'

export const route = (fleet: Fleet): Stage => next => async exchange => {
  if (exchange.model === null) throw new TypeError('route comes after admit')
  exchange.version = fleet.version(exchange.model.live)
  if (exchange.version === null) throw new TypeError(`the snapshot has no version ${exchange.model.live}`)
  if (fleet.pick(exchange.version, nobody) === null) await awaitReplica(fleet, exchange)
  await next(exchange)
}

const nobody: ReadonlySet<never> = new Set()

/** An engine that is starting or loading is worth waiting for; one that somebody else runs and is down is not. */
async function awaitReplica(fleet: Fleet, exchange: Exchange): Promise<void> {
  const { model, version } = exchange
  if (model === null || version === null) throw new TypeError('no route yet')
  const waiting = fleet.whenUsable(version, model)
  exchange.whenGone = waiting.cancel
  const usable = await waiting.promise
  exchange.whenGone = null
  if (exchange.gone) throw new ClientGone()
  if (!usable) throw new FaultError(fleet.noReplica(model, version))
}
