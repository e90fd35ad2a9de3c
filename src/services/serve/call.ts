/** Call: asks a replica, and another one as long as the client has seen no byte of an answer. */
import { FaultError, type Fault } from '../../domain/fault.ts'
import { toEngineBody, type GatewayLimits } from '../../domain/serving/index.ts'
import { tokens, type ReplicaId } from '../../domain/units.ts'
import type { Conversations } from './conversations.ts'
import { ClientGone, describe, ownerOf, type Exchange, type Serve } from './exchange.ts'
import type { Fleet, Replica } from './fleet.ts'
import type { EngineRequest, Recorder, Wire, WireRequest } from './ports.ts'
import { relay } from './relay.ts'
import { awaitReplica } from './route.ts'
import { charactersPerToken } from './usage.ts'

/** Replicas asked for one request, at most: a request that kills engines must not kill them all. */
const mostAttempts = 3

export type CallParts = {
  fleet: Fleet
  wire: Wire
  recorder: Recorder
  limits: () => GatewayLimits
  conversations: Conversations
}

export const call =
  ({ fleet, wire, recorder, limits, conversations }: CallParts): Serve =>
  async exchange => {
    const { principal, ask, model, version } = exchange
    if (principal === null || ask === null || model === null || version === null)
      throw new TypeError('call comes after route')
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
        if (exchange.firstByteMs !== null) throw error
        const mayLeaveOut = exchange.translator?.longestIsAWish === true && 'max_tokens' in body
        if (error.fault.kind === 'context-exceeded' && mayLeaveOut) {
          // Once more of the same replica: as long as what is left of its context.
          delete body['max_tokens']
          tried.delete(replica.id)
          exchange.attempts--
          continue
        }
        if (!isWorthAnother(error.fault)) throw error
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
        const { body: mended, path, repair } = toRequest(replica)
        const request = { path, ...(await encode(mended, exchange)), requestId: exchange.id }
        if (exchange.gone) throw new ClientGone()
        lease.asked(tokens(request.body.length / charactersPerToken))
        await relay({ exchange, replica, wire, limits: limits(), request, repair, began: lease.began })
        lease.answered(exchange.inputTokens, ask?.stream === true ? exchange.firstByteMs : null)
        const kept = exchange.translator?.kept?.() ?? null
        if (kept !== null && principal !== null) conversations.keep(ownerOf(principal), kept)
      } catch (error) {
        if (error instanceof FaultError) lease.failed(error.fault)
        throw error
      } finally {
        lease.release()
      }
    }

    function toRequest(replica: Replica): EngineRequest {
      if (ask === null || version === null) throw new TypeError('call comes after route')
      return replica.dialect.toRequest(ask.path, body, version.name)
    }
  }

/** The bytes an engine gets: the body as JSON, or the client's form with the engine's own name for the model. */
function encode(
  body: Record<string, unknown>,
  { form }: Exchange,
): Pick<WireRequest, 'body' | 'contentType'> | Promise<Pick<WireRequest, 'body' | 'contentType'>> {
  if (form !== null) return encodeForm(body, form)
  return { body: JSON.stringify(body), contentType: 'application/json' }
}

async function encodeForm(
  { model }: Record<string, unknown>,
  form: FormData,
): Promise<Pick<WireRequest, 'body' | 'contentType'>> {
  const theirs = new FormData()
  for (const [name, value] of form) if (name !== 'model') theirs.append(name, value)
  theirs.set('model', String(model))
  const encoded = new Response(theirs)
  const contentType = encoded.headers.get('content-type') ?? ''
  return { body: new Uint8Array(await encoded.arrayBuffer()), contentType }
}

/** Lost, failing and loading engines say nothing about the next one. A client's mistake and slowness do. */
function isWorthAnother(fault: Fault): boolean {
  return fault.kind === 'engine-lost' || fault.kind === 'engine-failed' || fault.kind === 'not-ready'
}
