/** Call: asks a replica, and another one as long as the client has seen no byte of an answer. */
import { FaultError, type Fault } from '../../domain/fault.ts'
import { toEngineBody, type GatewayLimits } from '../../domain/serving/index.ts'
import type { ReplicaId } from '../../domain/units.ts'
import { ClientGone, describe, type Serve } from './exchange.ts'
import type { Fleet, Replica } from './fleet.ts'
import type { Recorder, Wire } from './ports.ts'
import { relay } from './relay.ts'
import { awaitReplica } from './route.ts'

/** Replicas asked for one request, at most: a request that kills engines must not kill them all. */
const mostAttempts = 3

export type CallParts = { fleet: Fleet; wire: Wire; recorder: Recorder; limits: () => GatewayLimits }

export const call =
  ({ fleet, wire, recorder, limits }: CallParts): Serve =>
  async exchange => {
    const { ask, model, version } = exchange
    if (ask === null || model === null || version === null) throw new TypeError('call comes after route')
    const { key, ...who } = describe(exchange)
    if (key !== null) recorder.append({ t: 'open', ...who, key, model: model.name })

    const body = toEngineBody(ask, model, version)
    const tried = new Set<ReplicaId>()
    let last: Fault | null = null
    while (exchange.attempts < mostAttempts) {
      const replica = fleet.pick(version, tried) ?? (await comeBack())
      if (replica === null) break
      tried.add(replica.id)
      exchange.attempts++
      exchange.replica = replica.id
      try {
        await attempt(replica)
        return
      } catch (error) {
        if (!(error instanceof FaultError) || exchange.gone) throw error
        if (exchange.firstByteMs !== null || !isWorthAnother(error.fault)) throw error
        last = error.fault
      }
    }
    throw new FaultError(last ?? fleet.noReplica(model, version))

    /** Everybody was tried. One that died or is loading may be back before the client gives up; one that fails is no better now. */
    async function comeBack(): Promise<Replica | null> {
      if (version === null || (last?.kind !== 'engine-lost' && last?.kind !== 'not-ready')) return null
      if (!(await awaitReplica(fleet, exchange))) return null
      tried.clear()
      return fleet.pick(version, tried)
    }

    async function attempt(replica: Replica): Promise<void> {
      if (exchange.gone) throw new ClientGone()
      const lease = fleet.lease(replica)
      try {
        const request = toRequest(replica)
        await relay({ exchange, replica, wire, limits: limits(), request })
        lease.answered()
      } catch (error) {
        if (error instanceof FaultError) lease.failed(error.fault)
        throw error
      } finally {
        lease.release()
      }
    }

    function toRequest(replica: Replica): { path: string; body: string; requestId: string } {
      try {
        return { ...replica.dialect.toRequest(ask?.path ?? 'chat/completions', body), requestId: exchange.id }
      } catch (error) {
        // JSON.stringify recurses where JSON.parse does not.
        if (error instanceof RangeError)
          throw new FaultError(
            { kind: 'request-invalid', param: null, problem: 'The request body is nested too deeply.' },
            { cause: error },
          )
        throw error
      }
    }
  }

/** Lost, failing and loading engines say nothing about the next one. A client's mistake and slowness do. */
function isWorthAnother(fault: Fault): boolean {
  return fault.kind === 'engine-lost' || fault.kind === 'engine-failed' || fault.kind === 'not-ready'
}
