/** Call: asks a replica, and another one as long as the client has seen no byte of an answer. */
import type { Principal } from '../../domain/access/index.ts'
import { FaultError, type Fault } from '../../domain/fault.ts'
import { prefixBlocks, type Caller, type Retry } from '../../domain/routing/index.ts'
import {
  changedFields,
  conversationOf,
  promptTokens,
  toEngineBody,
  toEngineChanges,
  type Ask,
  type GatewayLimits,
  type ModelRoute,
  type RoutingStrategy,
  type VersionRoute,
} from '../../domain/serving/index.ts'
import { millis, type ReplicaId, type Tokens } from '../../domain/units.ts'
import type { Conversations } from './conversations.ts'
import { ClientGone, ownerOf, principalId, type Exchange, type Serve } from './exchange.ts'
import type { Fleet } from './fleet.ts'
import type { EngineRequest, Recorder, Repair, Wire, WireRequest } from './ports.ts'
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

export const call = ({ fleet, wire, recorder, limits, conversations }: CallParts): Serve => {
  return async exchange => {
    const work = workOf(exchange)
    const { ask, answering, version, prompt } = work
    if (!exchange.opened) tellBegin(exchange, work)
    const caller = callerOf(exchange, answering.routing)
    const retries = fleet.retries(version.name)
    retries.asked(clock())
    const tried: ReplicaId[] = []
    let last: Fault | null = null
    let again: Retry | null = null
    for (let attempts = 0; attempts < mostAttempts; attempts++) {
      const choice = fleet.choose(version, { strategy: answering.routing, caller, tried })
      if (choice === null) break
      const { replica, reason } = choice
      if (again !== null && !retries.retry(again, clock()).allowed) break
      tried.push(replica.id)
      exchange.attempts++
      exchange.replica = replica.id
      exchange.choice = choiceOf(exchange, reason)
      if (exchange.gone) throw new ClientGone()
      const lease = fleet.lease(replica)
      try {
        const asking = relayed(exchange, work, replica) ?? rendered(exchange, work, replica)
        const { request, repair } = asking instanceof Promise ? await asking : asking
        if (exchange.gone) throw new ClientGone()
        lease.asked(prompt)
        const done = relay({ exchange, replica, wire, limits: limits(), request, repair, lease })
        lease.onGivenUp(() => exchange.interrupt?.(new FaultError({ kind: 'engine-lost', sentBytes: 0 })))
        await done
        lease.answered(exchange.inputTokens, ask.stream ? exchange.firstByteMs : null)
        keep(exchange)
        return
      } catch (error) {
        if (!(error instanceof FaultError)) throw error
        lease.failed(error.fault)
        again = lease.retryIs()
        if (exchange.gone || exchange.firstByteMs !== null) throw error
        if (error.fault.kind === 'context-exceeded' && leavesOutLongest(exchange, work)) {
          // Once more of the same replica: as long as what is left of its context.
          tried.pop()
          exchange.attempts--
          again = null
          continue
        }
        if (!isWorthAnother(error.fault)) throw error
        last = error.fault
      } finally {
        exchange.gpuMs = millis((exchange.gpuMs ?? 0) + lease.release())
      }
    }
    throw new FaultError(last ?? fleet.noReplica(answering, version))
  }

  /** Before an engine is asked, so that a crash leaves a trace of it. */
  function tellBegin(exchange: Exchange, { ask, model, principal }: Work): void {
    const named = principal.kind === 'admin' ? null : principal
    recorder.append({
      t: 'open',
      id: exchange.id,
      at: exchange.arrivedAt,
      key: principalId(principal),
      alias: named === null ? null : named.alias,
      team: named === null ? null : named.team,
      model: model.name,
      route: exchange.head.route,
      stream: ask.stream,
    })
    exchange.opened = true
  }

  /** What a later request may go on from. */
  function keep({ translator, principal }: Exchange): void {
    const kept = translator?.kept?.() ?? null
    if (kept !== null && principal !== null) conversations.keep(ownerOf(principal), kept)
  }
}

/** What engines are asked for an exchange, however many of them are. */
type Work = {
  principal: Principal
  ask: Ask
  model: ModelRoute
  answering: ModelRoute
  version: VersionRoute
  /** `null`: it goes as it came, as long as the engine takes it so. */
  body: Record<string, unknown> | null
  prompt: Tokens
}

function workOf({ principal, ask, model, answering, version }: Exchange): Work {
  if (principal === null || ask === null || model === null || answering === null || version === null)
    throw new TypeError('call comes after route')
  const body = ask.plain === undefined ? toEngineBody(ask, answering, version) : null
  return { principal, ask, model, answering, version, body, prompt: promptTokens(ask) }
}

type Asking = { request: WireRequest; repair: Repair | null }

/** `null`: more has to be changed in it than fields. */
function relayed(exchange: Exchange, { ask, answering, version }: Work, { dialect }: Replica): Asking | null {
  const { path, plain } = ask
  if (plain === undefined || dialect.relay === undefined) return null
  const changes = toEngineChanges(ask, plain, { model: answering, version })
  if (changes === null) return null
  const relaying = dialect.relay(path, changedFields(plain, changes))
  if (relaying === null) return null
  const fields = relaying.fields === undefined ? changes.fields : { ...changes.fields, ...relaying.fields }
  const body = plain.with({ fields, firstMessage: changes.firstMessage })
  return asking(exchange, relaying, { body, contentType: 'application/json' })
}

/** The body as JSON, or the client's form with the engine's own name for the model. */
function rendered(
  exchange: Exchange,
  { ask, answering, version, body }: Work,
  { dialect }: Replica,
): Asking | Promise<Asking> {
  const whole = body ?? toEngineBody(ask, answering, version)
  const asked = dialect.toRequest(ask.path, whole, version.name)
  if (exchange.form === null)
    return asking(exchange, asked, { body: JSON.stringify(asked.body), contentType: 'application/json' })
  return encodeForm(asked.body, exchange.form).then(encoded => asking(exchange, asked, encoded))
}

const asking = (
  { id, flags }: Exchange,
  { path, repair }: Pick<EngineRequest, 'path' | 'repair'>,
  { body, contentType }: Pick<WireRequest, 'body' | 'contentType'>,
): Asking => ({ request: { path, body, contentType, requestId: id, flags }, repair })

/** The longest answer that a client wishes for is left out when it does not fit, if a wish is all that it was. */
function leavesOutLongest({ translator }: Exchange, { body }: Work): boolean {
  if (translator?.longestIsAWish !== true || body === null || !('max_tokens' in body)) return false
  delete body['max_tokens']
  return true
}

/** Why this replica, and for whom it stands in. */
function choiceOf({ mark, model, answering, version }: Exchange, reason: string): string {
  if (model !== answering && model?.live !== answering?.live) return `${answering?.name} for ${model?.name}: ${reason}`
  if (mark === null || version === null || mark.version === version.name) return reason
  return `${version.name} for ${mark.version}: ${reason}`
}

/** What a choice of this kind looks at; the rest would cost time for nothing. */
function callerOf({ principal, ask, head }: Exchange, strategy: RoutingStrategy): Caller {
  if (principal === null || ask === null) throw new TypeError('call comes after admit')
  switch (strategy) {
    case 'sticky': {
      const conversation = conversationOf({ named: head.conversation, owner: ownerOf(principal), ask })
      return { conversation, prefix: [] }
    }
    case 'prefix-affinity':
      return { conversation: null, prefix: prefixBlocks(ask.body) }
    case 'least-loaded':
    case 'round-robin':
      return anybody
    default:
      return strategy satisfies never
  }
}

const anybody: Caller = { conversation: null, prefix: [] }

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
