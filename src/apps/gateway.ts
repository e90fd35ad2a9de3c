/** The gateway process: the data plane. Serves from what it was last told; needs nobody to start or to go on. */
import { chmodSync, renameSync } from 'node:fs'
import type { Server } from 'node:http'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import { dialectOf, openWire } from '../adapters/engine/index.ts'
import { relayedSegments, relayToController } from '../adapters/controller-relay/index.ts'
import { makeUuid7, openJournal } from '../adapters/journal/index.ts'
import { keepDialling, openGatewayDisk, pairsOver, samplesOver, tell } from '../adapters/link/index.ts'
import { endAnswer, openHttp, sendFault } from '../adapters/openai-http/index.ts'
import { openTokens } from '../adapters/jwks/index.ts'
import { memoryBounds } from '../adapters/processes/index.ts'
import { resolveSecret } from '../adapters/secrets/index.ts'
import { openLog } from '../adapters/log/index.ts'
import { openGatewayMetrics } from '../adapters/telemetry/index.ts'
import { holdersOf, mayUse, permittedModels } from '../domain/access/index.ts'
import type { FeedbackRecord } from '../domain/journal/index.ts'
import type { Acknowledgement, GatewayFrame } from '../domain/serving/index.ts'
import { instant, millis, type Millis } from '../domain/units.ts'
import { lookUpBy } from '../services/access/index.ts'
import { openBudgets, openEstimates } from '../services/budgets/index.ts'
import { openFeedback, openRecentRequests } from '../services/feedback/index.ts'
import { openLimiter, openTokenEstimates, type Limiter, type SharedCounts } from '../services/limits/index.ts'
import {
  openAdmission,
  openConversations,
  openFleet,
  openGate,
  openMemoryGuard,
  openSamples,
  openServe,
  openShadow,
  watchReplicas,
  type Exchange,
} from '../services/serve/index.ts'
import { openSampleSender } from '../services/quality/index.ts'
import { openPairSender } from '../services/shadow/index.ts'
import { aborted } from './aborted.ts'
import { openBeside } from './gateway-link.ts'
import { openGatewayState } from './gateway-state.ts'
import { plainRoutes } from './gateway-routes.ts'
import type { Home } from './paths.ts'

/** How long running requests may go on after SIGTERM. */
const drainMs = 30_000
/** And once the parent is gone: its engines are gone too, and the next service may be waiting for this state folder. */
const orphanDrainMs = 1_000
/** Once another gateway serves, a client's idle connection is good for one more request, or for so long. */
const lingerMs = 5_000
/** No answer ended for so long: whoever is idle then has been for a while. */
const quietMs = 1_000
/** A successor knows all engines by then, or as many as answer. */
const knownWithinMs = 5_000
const lookEveryMs = 20
/** What requests that were cut may take to tell the journal. */
const lastWordsMs = 1_000
const probeEveryMs = 1_000
/** What `previous_response_id` may go back to. */
const keptConversationBytes = 64 * 1024 * 1024
const longestConversationBytes = 16 * 1024 * 1024
const keptConversationMs = 24 * 3_600_000
const probeTimeoutMs = 2_000

export type GatewayOptions = {
  home: Home
  env: NodeJS.ProcessEnv
  /** An inherited listening socket's descriptor, or an address of its own. */
  listen: { fd: number } | { host: string; port: number }
  /** It has joined a service on another machine or port. */
  elsewhere: boolean
  /** Told once: the gateway has a snapshot and listens; and how clients speak to it. */
  onReady: (scheme: 'http' | 'https') => void
  /** The parent died: there is no time to drain. */
  orphaned: AbortSignal
  handover: Handover
}

/** How one gateway follows another at the same socket; the parent says when. docs/design/0018-zero-cut.md. */
export type Handover = {
  /** It starts beside one that serves: it gets ready, says so, and takes the socket once `lead` is told. */
  successor: boolean
  lead: AbortSignal
  onPrepared: () => void
  /** Another one takes over: this one lets go of the socket and finishes what it has. */
  retired: AbortSignal
  onRetired: () => void
}

/** Resolves when the gateway has drained after `signal`. */
export async function runGateway(
  { home, env, listen, elsewhere, onReady, orphaned, handover }: GatewayOptions,
  stopped: AbortSignal,
): Promise<void> {
  const signal = AbortSignal.any([stopped, handover.retired])
  const log = openLog('gateway', env['HOLDFAST_LOG_LEVEL'])
  const now = () => Date.now()
  const link = elsewhere ? (await import('./gateway-elsewhere.ts')).openElsewhere({ home, log }) : openBeside(home)
  const { id, line } = link
  // Whose journal it is tells the controller what of all spending this gateway has counted itself.
  const run = makeUuid7(now())
  const wire = openWire()
  const fleet = openFleet({
    now,
    dialectOf: version => dialectOf(version.engine),
    secret: reference => {
      try {
        return resolveSecret(reference, env)
      } catch (error) {
        // One engine's missing secret must not stop the others: that engine will refuse, and say so.
        log.error({ err: error }, 'a secret in the spec cannot be read')
        link.problem(error instanceof Error ? error.message : String(error))
        return ''
      }
    },
  })
  const tokens = openTokens({
    onProblem: (issuer, problem, cause) =>
      log.warn({ err: cause, issuer }, `the keys of an identity provider cannot be fetched: ${problem}`),
  })
  const budgets = openBudgets()
  let limiter: Limiter | null = null
  let gateways = 1
  const state = openGatewayState({
    disk: openGatewayDisk(home.gateway),
    onSnapshot: snapshot => {
      fleet.use(link.usable(snapshot))
      tokens.use(snapshot.jwt)
    },
    onPeers: count => {
      gateways = count
      fleet.sharedBy(count)
      limiter?.gateways(count)
    },
    onSpend: budgets.told,
    now,
    elapsed: steadily,
  })
  const beside = handover.successor && state.complete()
  if (!beside) await firstState()

  const journal = openJournal({
    folder: home.journal,
    epoch: run,
    now: () => instant(now()),
    whenUnwritable: state.snapshot().whenUnwritable,
    onProblem: (problem, cause) => log.error({ err: cause }, problem),
  })
  const limits = openLimiter({
    shared: await sharedCounts(state.snapshot().sharedLimits),
    onMode: ({ mode, why }) =>
      mode === 'divided'
        ? log.warn({ why }, 'each gateway grants its part of every limit')
        : log.info({ mode }, 'limits'),
  })
  limits.gateways(gateways)
  limiter = limits
  const admission = openAdmission({ capacityOf: fleet.capacity, now: steadily, setTimer })
  fleet.watch(admission.changed)
  const memory = openMemoryGuard({ bounds: memoryBounds(), now: steadily })
  const gate = openGate()
  const conversations = openConversations({
    mostBytes: keptConversationBytes,
    mostEachBytes: longestConversationBytes,
    keptForMs: keptConversationMs,
    now: steadily,
  })
  const metrics = openGatewayMetrics({
    connections: () => connections(),
    inFlight: () => gate.inFlight,
    queued: admission.waiting,
    queues: admission.counts,
    limits: () => limits.mode().mode,
    releases: () =>
      fleet
        .routes()
        .flatMap(({ name: model, release }) =>
          release === null ? [] : [{ model, candidate: release.candidate, share: release.share }],
        ),
    replicas: () =>
      fleet.replicas().map(({ id: replica, version, inFlight, health, load }) => ({
        version,
        replica,
        inFlight,
        up: health.state === 'up',
        load,
      })),
  })
  const recent = openRecentRequests()
  const pairs = openPairSender({
    send: pairsOver(line),
    count: metrics.shadow,
    onProblem: (problem, cause) => log.warn({ err: cause }, problem),
  })
  const report = (error: unknown, exchange: Exchange) =>
    log.error({ err: error, request: exchange.id }, 'a request failed in a way nobody foresaw')
  const shadow = openShadow({
    fleet,
    admission,
    mustShed: memory.mustShed,
    onPair: pairs.add,
    count: metrics.shadow,
    report,
  })
  const sender = openSampleSender({
    send: samplesOver(line),
    onProblem: (problem, cause) => log.warn({ err: cause }, problem),
  })
  const samples = openSamples({ mustShed: memory.mustShed, onSample: sender.add })
  const lookUp = lookUpBy({ table: state.access, tokens })
  const serve = openServe({
    gate,
    limits: () => state.snapshot().limits,
    stale: state.stale,
    lookUp,
    permissions: {
      model: fleet.model,
      mayUse: (principal, model) => mayUse(state.access(), principal, model),
      permitted: principal => permittedModels(state.access(), principal, fleet.models()),
      version: fleet.version,
      modelOf: fleet.modelOf,
      flags: fleet.flags,
      holders: principal => holdersOf(state.access(), principal),
    },
    limiter: limits,
    usual: openTokenEstimates(),
    budgets,
    estimates: openEstimates(),
    admission,
    mustShed: memory.mustShed,
    fleet,
    shadow,
    samples,
    wire,
    conversations,
    recorder: {
      append: (record, onWritten) => journal.append(record, onWritten),
      get mustRefuse() {
        return state.snapshot().whenUnwritable === 'refuse' && !journal.healthy
      },
    },
    meter: {
      finished(record) {
        metrics.finished(record)
        recent.note(record)
      },
    },
    report,
    now,
  })
  const { server, openLocal, connections } = openHttp({
    edge: () => state.snapshot().edge,
    warn: problem => log.warn(problem),
    serve,
    plain: plainRoutes({
      fleet,
      state,
      metrics,
      lookUp,
      conversations,
      feedback: openFeedback({ recent, append: appended, now }),
      draining: () => signal.aborted,
      now,
    }),
    relayed: relayedSegments,
    relay: relayToController({ request: call => line.request(call), sendFault, endAnswer }),
    report: (error, request) => log.error({ err: error, request }, 'a request failed in a way nobody foresaw'),
    draining: () => signal.aborted,
  })
  const stopWatching = new AbortController()
  watchReplicas({
    fleet,
    wire,
    health: () => state.snapshot().health,
    everyMs: probeEveryMs,
    timeoutMs: probeTimeoutMs,
    signal: stopWatching.signal,
  })
  if (beside) await takeOver()
  const stopLink = new AbortController()
  link.start(stopLink.signal)
  // A name of its own until it listens: what another gateway closes, or left behind when it was killed, is not this one's.
  const local = `${home.gatewaySocket}.${process.pid}`
  await openLocal(local)
  chmodSync(local, 0o600)
  renameSync(local, home.gatewaySocket)
  await listenOn(server, listen)
  log.info({ gateway: id, snapshot: state.snapshot().id }, 'serving')
  onReady(state.snapshot().edge.tls === null ? 'http' : 'https')

  await aborted(signal)
  await drain(server)
  shadow.close()
  stopWatching.abort()
  stopLink.abort()
  tokens.close()
  await journal.close()
  await link.end(handover.retired.aborted ? null : run)
  await wire.close()
  await limits.close()

  function appended(record: FeedbackRecord): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    journal.append(record, error => (error === undefined ? resolve() : reject(error)))
    return promise
  }

  /** Where limits are counted together with other gateways; `null`: here alone. A wrong address is told, and limits are divided. */
  async function sharedCounts(where: string): Promise<SharedCounts | null> {
    if (where === 'local') return null
    try {
      const { openRedisCounts } = await import('../adapters/limits/redis/index.ts')
      return openRedisCounts(resolveSecret(where, env))
    } catch (error) {
      log.error({ err: error }, 'gateway.sharedLimits cannot be used: each gateway counts for itself')
      return null
    }
  }

  /** Ready but for the socket and the link, which are another gateway's; then they are this one's. */
  async function takeOver(): Promise<void> {
    const untilMs = performance.now() + knownWithinMs
    while (fleet.replicas().some(({ health }) => health.state === 'unknown') && performance.now() < untilMs)
      await pause(lookEveryMs)
    handover.onPrepared()
    await Promise.race([aborted(handover.lead), aborted(signal)])
    state.reread()
    await firstState()
  }

  /** The last good state on disk, or the controller's first word. The link then goes on for good. */
  async function firstState(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (state.complete()) resolve()
    void keepDialling<GatewayFrame>({
      line,
      path: linkPath,
      onFrame: async frame => {
        if (!state.take(frame)) return
        if (!state.complete()) return
        resolve()
        const { epoch, seq, snapshot } = state.held()
        const acknowledgement: Acknowledgement = { gateway: id, epoch: epoch ?? '', seq, snapshot }
        await tell(line, '/link/v1/acknowledge', acknowledgement)
      },
      onConnected: () => {
        state.linked()
        link.linked()
      },
      onLost: (why, code) => {
        state.cut()
        if (code === 'gateway_removed') state.dismiss(why)
        log.info({ why }, 'the link to the controller is down; serving goes on')
      },
      signal,
    })
    await Promise.race([promise, aborted(signal)])
    if (!state.complete()) process.exit(0)
  }

  function linkPath(): string {
    const { epoch, seq, snapshot } = state.held()
    const query = new URLSearchParams({ gateway: id, seq: String(seq), run })
    if (epoch !== null) query.set('epoch', epoch)
    if (snapshot !== null) query.set('snapshot', snapshot)
    return `/link/v1/gateway?${query}`
  }

  async function drain(listening: Server): Promise<void> {
    const retired = handover.retired.aborted
    const closed = retired ? closeToNew(listening) : new Promise<void>(resolve => listening.close(() => resolve()))
    if (retired) {
      state.follow()
      handover.onRetired()
    }
    // Connections whose last answer went out after close() are idle from then on.
    const sweepFromMs = performance.now() + (retired ? lingerMs : 0)
    let { inFlight } = gate
    let changedMs = performance.now()
    const sweep = setInterval(() => {
      const now = performance.now()
      if (gate.inFlight !== inFlight) changedMs = now
      inFlight = gate.inFlight
      // A stream that began before ends with its connection open, and its client may send the next request at once.
      const isQuiet = now >= sweepFromMs && now - changedMs >= quietMs
      if (!retired || stopped.aborted || isQuiet) listening.closeIdleConnections()
    }, 50)
    const cut = (): void => {
      gate.cut()
      // Their last words go out first; who still does not let go is dropped.
      deadlines.push(setTimeout(() => listening.closeAllConnections(), lastWordsMs))
    }
    const deadlines = [setTimeout(cut, state.snapshot().limits.request + lastWordsMs)]
    void aborted(stopped).then(() => deadlines.push(setTimeout(cut, drainMs)))
    void aborted(orphaned).then(() => deadlines.push(setTimeout(cut, orphanDrainMs)))
    await closed
    clearInterval(sweep)
    for (const deadline of deadlines) clearTimeout(deadline)
    // Those that were cut end a moment after their connections, and the journal is closed next.
    await Promise.race([gate.idle(), pause(lastWordsMs)])
    // Who left the gate tells the journal within this turn.
    await nextTurn()
  }
}

const steadily = (): Millis => millis(performance.now())

function setTimer(after: Millis, fire: () => void): () => void {
  const timer = setTimeout(fire, after)
  return () => clearTimeout(timer)
}

/** No new connections, while those that are there stay: closing one that is idle could cross its client's next request. */
function closeToNew(listening: Server): Promise<void> {
  const closeIdle = listening.closeIdleConnections
  listening.closeIdleConnections = () => {}
  const closed = new Promise<void>(resolve => listening.close(() => resolve()))
  listening.closeIdleConnections = closeIdle
  return closed
}

function listenOn(server: Server, listen: GatewayOptions['listen']): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  // The kernel's queue for connections that wait while a gateway is replaced.
  server.listen({ ...listen, backlog: 1024 }, resolve)
  return promise
}
