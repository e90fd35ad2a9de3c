/** Call: asks a replica, and another one as long as the client has seen no byte of an answer. */
import { FaultError, type Fault } from '../../domain/fault.ts'
import { prefixBlocks, type Caller, type Retry } from '../../domain/routing/index.ts'
import {
  changedFields,
  conversationOf,
  promptTokens,
  toEngineBody,
  toEngineChanges,
  type GatewayLimits,
  type RoutingStrategy,
} from '../../domain/serving/index.ts'
import { millis, type ReplicaId } from '../../domain/units.ts'
import type { Conversations } from './conversations.ts'
import { ClientGone, describe, ownerOf, type Exchange, type Serve } from './exchange.ts'
import type { Fleet } from './fleet.ts'
import type { EngineRequest, Recorder, Wire, WireRequest } from './ports.ts'
import { relay } from './relay.ts'
import type { Replica } from './replica.ts'
import { mostAttempts } from './route.ts'

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
    const { principal, ask, model, answering, version } = exchange
    if (principal === null || ask === null || model === null || answering === null || version === null)
      throw new TypeError('call comes after route')
    const { key, ...who } = describe(exchange)
    if (key !== null && !exchange.opened) recorder.append({ t: 'open', ...who, key, model: model.name })
    exchange.opened = true

    const body = ask.plain === undefined ? toEngineBody(ask, answering, version) : null
    const prompt = promptTokens(ask)
    const caller = callerOf(exchange, answering.routing)
    const retries = fleet.retries(version.name)
    retries.asked(clock())
    const tried = new Set<ReplicaId>()
    let last: Fault | null = null
    let again: Retry | null = null
    for (let attempts = 0; attempts < mostAttempts; attempts++) {
      const choice = fleet.choose(version, { strategy: answering.routing, caller, tried })
      if (choice === null) break
      const { replica, reason } = choice
      if (again !== null && !retries.retry(again, clock()).allowed) break
      tried.add(replica.id)
      exchange.attempts++
      exchange.replica = replica.id
      exchange.choice = choiceOf(exchange, reason)
      try {
        await attempt(replica)
        return
      } catch (error) {
        if (!(error instanceof FaultError) || exchange.gone) throw error
        if (exchange.firstByteMs !== null) throw error
        const mayLeaveOut = exchange.translator?.longestIsAWish === true && body !== null && 'max_tokens' in body
        if (error.fault.kind === 'context-exceeded' && mayLeaveOut) {
          // Once more of the same replica: as long as what is left of its context.
          delete body['max_tokens']
          tried.delete(replica.id)
          exchange.attempts--
          again = null
          continue
        }
        if (!isWorthAnother(error.fault)) throw error
        last = error.fault
      }
    }
    throw new FaultError(last ?? fleet.noReplica(answering, version))

    async function attempt(replica: Replica): Promise<void> {
      if (exchange.gone) throw new ClientGone()
      const lease = fleet.lease(replica)
      try {
        const { repair, ...asked } = relayed(replica) ?? (await toRequest(replica))
        const request = { ...asked, requestId: exchange.id, flags: exchange.flags }
        if (exchange.gone) throw new ClientGone()
        lease.asked(prompt)
        const done = relay({ exchange, replica, wire, limits: limits(), request, repair, lease })
        lease.onGivenUp(() => exchange.interrupt?.(new FaultError({ kind: 'engine-lost', sentBytes: 0 })))
        await done
        lease.answered(exchange.inputTokens, ask?.stream === true ? exchange.firstByteMs : null)
        const kept = exchange.translator?.kept?.() ?? null
        if (kept !== null && principal !== null) conversations.keep(ownerOf(principal), kept)
      } catch (error) {
        if (error instanceof FaultError) lease.failed(error.fault)
        again = lease.retryIs()
        throw error
      } finally {
        exchange.gpuMs = millis((exchange.gpuMs ?? 0) + lease.release())
      }
    }

    /** `null`: more has to be changed in it than fields. */
    function relayed({ dialect }: Replica): Asking | null {
      if (ask?.plain === undefined || answering === null || version === null) return null
      const { path, plain } = ask
      const changes = toEngineChanges(ask, plain, { model: answering, version })
      if (changes === null) return null
      const relaying = dialect.relay?.(path, changedFields(plain, changes)) ?? null
      if (relaying === null) return null
      const bytes = plain.with({ ...changes, fields: { ...changes.fields, ...relaying.fields } })
      return { path: relaying.path, repair: relaying.repair, body: bytes, contentType: 'application/json' }
    }

    async function toRequest({ dialect }: Replica): Promise<Asking> {
      if (ask === null || answering === null || version === null) throw new TypeError('call comes after route')
      const whole = body ?? toEngineBody(ask, answering, version)
      const { body: theirs, path, repair } = dialect.toRequest(ask.path, whole, version.name)
      return { path, repair, ...(await encode(theirs, exchange)) }
    }
  }

type Asking = Omit<WireRequest, 'requestId' | 'flags'> & Pick<EngineRequest, 'repair'>

/** Why this replica, and for whom it stands in. */
function choiceOf({ mark, model, answering, version }: Exchange, reason: string): string {
  if (model !== answering && model?.live !== answering?.live) return `${answering?.name} for ${model?.name}: ${reason}`
  if (mark === null || version === null || mark.version === version.name) return reason
  return `${version.name} for ${mark.version}: ${reason}`
}

/** What a choice of this kind looks at; the rest would cost time for nothing. */
function callerOf({ principal, ask, head }: Exchange, strategy: RoutingStrategy): Caller {
  if (principal === null || ask === null) throw new TypeError('call comes after admit')
  const named = head.conversation
  return {
    conversation: strategy === 'sticky' ? conversationOf({ named, owner: ownerOf(principal), ask }) : null,
    prefix: strategy === 'prefix-affinity' ? prefixBlocks(ask.body) : [],
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

const clock = () => millis(performance.now())
