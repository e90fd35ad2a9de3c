/** The controller process: spec, keys and teams, administration, and what the gateways and agents are told. May be down. */
import { randomBytes } from 'node:crypto'
import { adminRoutes, openAdminServer, openNotes, recordActs } from '../adapters/admin-http/index.ts'
import { linkRoutes, openLinkHub, pairRoutes, sampleRoutes } from '../adapters/link/index.ts'
import { liteLlmRoutes } from '../adapters/litellm-http/index.ts'
import type { Store } from '../adapters/store/sqlite/index.ts'
import { openLog, type Log } from '../adapters/log/index.ts'
import type { RequestStore } from '../domain/journal/index.ts'
import { currencyIn } from '../domain/serving/index.ts'
import { instant } from '../domain/units.ts'
import { hashKey, identifyBy, manageAccess } from '../services/access/index.ts'
import { openTallies } from '../services/budgets/index.ts'
import { noteChanges } from '../services/audit/index.ts'
import { newSealKeys } from '../services/shadow/index.ts'
import { openFlags, type Flag, type Flags } from '../services/set-flags.ts'
import { readAdminKey } from './admin-key.ts'
import { openActJournal, openAudit, recordSpec, type Recording } from './audit.ts'
import { readStatus } from './controller-status.ts'
import { UpOrder } from './desired.ts'
import { openGatewaysElsewhere } from './gateways-elsewhere.ts'
import { startIngestWorker, type IngestWorker } from './ingest.ts'
import { keepMeanings } from './known-versions.ts'
import { keepServing, lastGood, loadServing, toServing, type Serving } from './last-good.ts'
import { listGateways } from './list-gateways.ts'
import { listenAt } from './listen-at.ts'
import type { Home } from './paths.ts'
import { serveInTurn, type Act, type Acting, type InTurn } from './serve-in-turn.ts'
import { openStoreAt, readStorePlace, type StorePlace } from './store.ts'
import { readServiceFacts } from './service-file.ts'
import { startSpendPublisher } from './spend-publisher.ts'
import { openQualityWork } from './quality.ts'
import { openReleaseWork, type ReleaseWork } from './releases.ts'
import { openReload, type Current } from './reload.ts'
import { placeOfTeam } from './team-place.ts'
import { productVersion } from './version.ts'

export type ControllerOptions = { home: Home; env: NodeJS.ProcessEnv }

/** How long an answer waits for the journal's last records to be taken in; what is older is told anyway. */
const freshWithinMs = 1000

/** Serves until SIGTERM, or until its parent is gone; then closes and resolves. */
export async function runController(options: ControllerOptions): Promise<void> {
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>()
  process.once('SIGTERM', stop)
  process.once('disconnect', stop)
  const controller = await openController(options)
  process.send?.({ type: 'ready' })
  await Promise.race([stopped, controller.ended])
  await controller.close()
}

/**
 * Listens on `home.controllerSocket` once it resolves, as the active controller or on standby. Throws when there is no
 * spec to serve, now or from before.
 */
export async function openController({ home, env }: ControllerOptions): Promise<InTurn> {
  const log = openLog('controller', env['HOLDFAST_LOG_LEVEL'])
  const order = toOrder(env['HOLDFAST_UP'])
  const { serving, spec } = await loadServing(home, order)
  if (spec.state === 'invalid')
    log.error({ problems: spec.problems }, 'the spec is not valid: the last good one is served')
  const place = await readStorePlace(serving.store, { home, env })
  const current: Current = { serving, spec }
  const act: Act = async parts => openActive({ ...parts, home, env, log, order, current, place })
  return serveInTurn({ place, socket: home.controllerSocket, log, act })
}

type ActiveParts = ControllerOptions &
  Parameters<Act>[0] & { log: Log; order: UpOrder; current: Current; place: StorePlace }

async function openActive(parts: ActiveParts): Promise<Acting> {
  const store = await openStoreAt(parts.access)
  try {
    const now = () => instant(Date.now())
    const recording = await openActJournal({ home: parts.home, store, log: parts.log, now })
    try {
      return await openOver({ store, recording }, parts)
    } catch (error) {
      await recording.journal.close()
      throw error
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

async function openOver(
  { store, recording }: { store: Store; recording: Recording },
  { home, env, log, order, current, place, access: storeAccess, problem }: ActiveParts,
): Promise<Acting> {
  const now = () => instant(Date.now())
  const adminKey = readAdminKey(home.adminKey, env).key
  const adminHash = hashKey(adminKey)
  const ingest = startIngestWorker({
    store: storeAccess,
    journalFolder: home.journal,
    onProblem: (problem, cause) => log.error({ err: cause }, problem),
  })
  const fresh = freshness(ingest, log)
  const sampleKeys = newSealKeys()
  const releases = await openReleaseWork({
    ...{ home, env, adminKey, acts: recording.acts, store: store.releases, fresh, now, log },
    samplesFor: sampleKeys.publicKey,
    desired: () => current.serving.desired,
  })
  const quality = openQualityWork({
    ...{ store: store.quality, fresh, now, log },
    privateKey: sampleKeys.privateKey,
    desired: () => current.serving.desired,
    judgeOf: releases.judgeOf,
  })
  const flags = await openFlags({
    store: store.flags,
    spec: () => flagsOf(current.serving),
    serve: async () => reload.serveReality(),
    now,
  })
  await takeUpSpec(current, { home, order, releases, flags })
  const { serving } = current
  const elsewhere = await openGatewaysElsewhere({
    home,
    env,
    log,
    store: store.gateways,
    controller: serving.controller,
    now,
  })
  const hub = await openLinkHub({
    store: store.access,
    adminHash,
    snapshot: serving.snapshot,
    engines: serving.engines,
    remembered: elsewhere.remembered,
    onPresence: elsewhere.onPresence,
    now: () => performance.now(),
    onError: error => log.error({ err: error }, 'a link was dropped'),
  })
  const notes = openNotes()
  const noted = noteChanges(store.access, notes)
  const access = manageAccess({
    store: noted,
    publisher: hub,
    adminHash,
    now,
    randomBytes,
    models: () => current.serving.snapshot.models.map(model => model.name),
    currency: () => currencyIn(current.serving.snapshot),
    whereDeclared: team => placeOfTeam(order.spec, team),
  })
  for (const change of await access.teams.declare(serving.teams)) {
    if ('drop' in change) log.warn({ team: change.name }, 'a team is gone from the spec: its keys may use nothing')
  }

  const identify = identifyBy({ store: store.access, adminHash, now })
  const requests = withFreshRecords(store.requests, fresh)
  const tallies = openTallies({ access: store.access, requests, now })
  const spending = startSpendPublisher({
    tallies: openTallies({ access: store.access, requests: store.requests, now }),
    publish: hub.publishSpend,
    onProblem: (problem, cause) => log.error({ err: cause }, problem),
  })
  const audit = openAudit({
    ...recording,
    ...{ home, store, log, now, notes, fresh, publisher: hub },
    retention: serving.retention,
    caughtUp: ingest.caughtUp,
  })
  const recordCurrent = () => recordSpec(current, { acts: recording.acts, store, log, fresh })
  const told = recordCurrent()
  const reload = openReload({
    ...{ home, order, current, hub, teams: access.teams, releases, flags: flags.settings, log },
    record: recordCurrent,
  })
  const gateways = async () =>
    listGateways({
      linked: hub.gateways(),
      // Those that are linked are told without the store, too.
      stored: await elsewhere.gateways.list().catch(() => []),
      facts: readServiceFacts(home.service),
    })

  const app = await openAdminServer({ version: productVersion(), log })
  recordActs(app, { acts: recording.acts, identify, notes })
  await app.register(
    adminRoutes({
      access,
      identify,
      requests,
      tallies,
      rates: () => current.serving.snapshot.versions,
      now,
      audit: audit.routes,
      verifyAudit: audit.verify,
      gateways: { ...elsewhere.gateways, list: gateways },
      reload,
      releases: releases.admin,
      flags,
      quality: quality.admin,
      status: async () =>
        readStatus({
          home,
          snapshot: current.serving.snapshot,
          spec: current.spec,
          gateways: await gateways(),
          requests: store.requests,
          store: { place, problem: problem() },
          diverged: releases.diverged(),
        }),
    }),
  )
  await app.register(
    liteLlmRoutes({ ...access, store: noted, requests, snapshot: () => current.serving.snapshot, identify, now }),
  )
  await app.register(linkRoutes(hub, elsewhere.peerOf))
  await app.register(pairRoutes({ onPairs: releases.takePairs }))
  await app.register(sampleRoutes({ onSamples: quality.takeSamples }))
  await elsewhere.register(app)

  await listenAt(app, home.controllerSocket)
  await elsewhere.open({ hub, handle: (request, response) => app.routing(request, response) })
  await releases.begin(reload.serveReality)
  log.info({ snapshot: serving.snapshot.id }, 'administering')

  return {
    storeIsBack() {
      void hub.publish([])
    },
    async close() {
      await quality.close()
      await releases.close()
      await elsewhere.close()
      await app.close()
      await spending.stop()
      await told
      await audit.close()
      await recording.journal.close()
      await ingest.stop()
      await store.close()
    },
  }
}

/** The spec's flags and teams. */
function flagsOf({ desired }: Serving): { flags: Flag[]; teams: string[] } {
  const { flags, teams } = desired?.spec ?? { flags: [], teams: [] }
  return {
    flags: flags.map(flag => ({ ...flag, answers: flag.answers ?? null })),
    teams: teams.map(({ name }) => name),
  }
}

/** The spec's file may have changed while no controller ran: what is served of it is what releases make of it. */
async function takeUpSpec(
  current: Current,
  { home, order, releases, flags }: { home: Home; order: UpOrder; releases: ReleaseWork; flags: Flags },
): Promise<void> {
  const { desired } = current.serving
  // What was kept is as releases made it then; one that moved since is put in force as soon as they begin.
  if (desired === null || current.spec.state === 'invalid') return
  const problems = releases.problems(desired)
  if (problems.length > 0) {
    Object.assign(current, lastGood(home, { path: order.spec, problems }))
    return
  }
  await releases.follow(desired)
  current.serving = toServing(desired, { home, reality: releases.reality(desired), flags: flags.settings() })
  keepMeanings(home, { spec: desired.spec, order, reality: current.serving.reality })
  keepServing(home, current.serving)
}

/** Answers include what was served just before the question. */
function withFreshRecords(
  store: RequestStore,
  becomeFresh: () => Promise<void>,
): Pick<RequestStore, 'list' | 'usage' | 'spent' | 'gaps' | 'anchors'> {
  async function fresh(): Promise<RequestStore> {
    await becomeFresh()
    return store
  }
  return {
    list: async filter => (await fresh()).list(filter),
    usage: async ask => (await fresh()).usage(ask),
    spent: async ask => (await fresh()).spent(ask),
    gaps: async () => (await fresh()).gaps(),
    anchors: async () => (await fresh()).anchors(),
  }
}

/** Waits for what is in the journal now to be in the database, but not for long. */
function freshness(ingest: IngestWorker, log: Log): () => Promise<void> {
  return async () => {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, freshWithinMs)
    await Promise.race([ingest.caughtUp(), late]).catch(error =>
      log.warn({ err: error }, 'records may be missing from an answer'),
    )
    clearTimeout(timer)
  }
}

function toOrder(text: string | undefined): UpOrder {
  return UpOrder.parse(text === undefined || text === '' ? { spec: null, fragment: null } : JSON.parse(text))
}
