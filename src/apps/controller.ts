/** The controller process: spec, keys and teams, administration, and what the gateways and agents are told. May be down. */
import { randomBytes } from 'node:crypto'
import { adminRoutes, openAdminServer } from '../adapters/admin-http/index.ts'
import { openJournalReader } from '../adapters/journal/index.ts'
import { linkRoutes, openLinkHub } from '../adapters/link/index.ts'
import { liteLlmRoutes } from '../adapters/litellm-http/index.ts'
import type { Store } from '../adapters/store/sqlite/index.ts'
import { openLog, type Log } from '../adapters/telemetry/index.ts'
import type { RequestStore } from '../domain/journal/index.ts'
import { instant } from '../domain/units.ts'
import { hashKey, identifyBy, manageAccess } from '../services/access/index.ts'
import { verifyAudit } from '../services/verify-audit.ts'
import { readAdminKey } from './admin-key.ts'
import { readStatus } from './controller-status.ts'
import { UpOrder } from './desired.ts'
import { openGatewaysElsewhere } from './gateways-elsewhere.ts'
import { startIngestWorker, type IngestWorker } from './ingest.ts'
import { loadServing, type Serving, type SpecState } from './last-good.ts'
import { listGateways } from './list-gateways.ts'
import { listenAt } from './listen-at.ts'
import type { Home } from './paths.ts'
import { serveInTurn, type Act, type Acting, type InTurn } from './serve-in-turn.ts'
import { readServiceFacts } from './service-file.ts'
import { openStoreAt, readStorePlace, type StorePlace } from './store.ts'
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
  const place = readStorePlace(serving.store, { home, env })
  const act: Act = async parts => openActive({ ...parts, home, env, log, order, serving, spec, place })
  return serveInTurn({ place, socket: home.controllerSocket, log, act })
}

type ActiveParts = ControllerOptions &
  Parameters<Act>[0] & { log: Log; order: UpOrder; serving: Serving; spec: SpecState; place: StorePlace }

async function openActive(parts: ActiveParts): Promise<Acting> {
  const store = await openStoreAt(parts.access)
  try {
    return await openOver(store, parts)
  } catch (error) {
    await store.close()
    throw error
  }
}

async function openOver(
  store: Store,
  { home, env, log, order, serving, spec, place, access: storeAccess, problem }: ActiveParts,
): Promise<Acting> {
  const now = () => instant(Date.now())
  const adminHash = hashKey(readAdminKey(home.adminKey, env).key)
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
  const access = manageAccess({
    store: store.access,
    publisher: hub,
    adminHash,
    now,
    randomBytes,
    models: () => serving.snapshot.models.map(model => model.name),
    whereDeclared: team => placeOfTeam(order.spec, team),
  })
  for (const change of await access.teams.declare(serving.teams)) {
    if ('drop' in change) log.warn({ team: change.name }, 'a team is gone from the spec: its keys may use nothing')
  }

  const identify = identifyBy({ store: store.access, adminHash, now })
  const ingest = startIngestWorker({
    store: storeAccess,
    journalFolder: home.journal,
    onProblem: (problem, cause) => log.error({ err: cause }, problem),
  })
  const requests = withFreshRecords(store.requests, ingest, log)
  const journal = openJournalReader({ folder: home.journal })
  const gateways = async () =>
    listGateways({
      linked: hub.gateways(),
      // Those that are linked are told without the store, too.
      stored: await elsewhere.gateways.list().catch(() => []),
      facts: readServiceFacts(home.service),
    })

  const app = await openAdminServer({ version: productVersion(), log })
  await app.register(
    adminRoutes({
      access,
      identify,
      requests,
      now,
      // The anchors first: none may be newer than the files.
      verifyAudit: async () => verifyAudit({ anchors: await requests.anchors(), journal }),
      gateways: { ...elsewhere.gateways, list: gateways },
      status: async () =>
        readStatus({
          home,
          snapshot: serving.snapshot,
          spec,
          gateways: await gateways(),
          requests: store.requests,
          store: { place, problem: problem() },
        }),
    }),
  )
  await app.register(
    liteLlmRoutes({ ...access, store: store.access, requests, snapshot: () => serving.snapshot, identify, now }),
  )
  await app.register(linkRoutes(hub, elsewhere.peerOf))
  await elsewhere.register(app)

  await listenAt(app, home.controllerSocket)
  await elsewhere.open({ hub, handle: (request, response) => app.routing(request, response) })
  log.info({ snapshot: serving.snapshot.id }, 'administering')

  return {
    storeIsBack() {
      void hub.publish([])
    },
    async close() {
      await elsewhere.close()
      await app.close()
      await ingest.stop()
      await store.close()
    },
  }
}

/** Answers include what was served just before the question. */
function withFreshRecords(
  store: RequestStore,
  ingest: IngestWorker,
  log: Log,
): Pick<RequestStore, 'list' | 'usage' | 'gaps' | 'anchors'> {
  async function fresh(): Promise<RequestStore> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, freshWithinMs)
    await Promise.race([ingest.caughtUp(), late]).catch(error =>
      log.warn({ err: error }, 'records may be missing from an answer'),
    )
    clearTimeout(timer)
    return store
  }
  return {
    list: async filter => (await fresh()).list(filter),
    usage: async ask => (await fresh()).usage(ask),
    gaps: async () => (await fresh()).gaps(),
    anchors: async () => (await fresh()).anchors(),
  }
}

function toOrder(text: string | undefined): UpOrder {
  return UpOrder.parse(text === undefined || text === '' ? { spec: null, fragment: null } : JSON.parse(text))
}
