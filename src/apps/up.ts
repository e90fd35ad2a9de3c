/** `holdfast up`: the parent. Owns the listening socket, starts the processes, brings back those that die, drains them in order. */
import { isIPv6 } from 'node:net'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openArtifactFolder } from '../adapters/artifact-folder/index.ts'
import { findEngines, usualPorts } from '../adapters/discovery/index.ts'
import { bindListeningSocket, holdLifeline, inheritedSocket, listenForOrders } from '../adapters/processes/index.ts'
import { openHuggingFace } from '../adapters/registry/hugging-face/index.ts'
import { aborted } from './aborted.ts'
import { readAdminKey } from './admin-key.ts'
import { CliError } from './cli/client.ts'
import { compileDesired, withWholePaths } from './compile-desired.ts'
import { readDesired, type DesiredSpec, type UpOrder } from './desired.ts'
import { readEngines, writeEngines } from './engines-file.ts'
import { readFetches, writeFetches } from './fetches.ts'
import { readHubSettings } from './hub.ts'
import { lastReality } from './last-good.ts'
import { meaningProblems } from './known-versions.ts'
import { openHome, homeFolder } from './paths.ts'
import { readySchemeOf, writeServiceFacts, type ServiceFacts } from './service-file.ts'
import { readStorePlace } from './store.ts'
import { awaitModels } from './up/await-models.ts'
import { applyOnHangUp } from './up/apply-on-hang-up.ts'
import { renderBanner } from './up/banner.ts'
import { checkModel } from './up/check-model.ts'
import { toFragment } from './up/fragment.ts'
import { takeOrders } from './up/orders.ts'
import { readRelease } from './up/release.ts'
import { startRoles } from './up/roles.ts'
import { tellFetches } from './up/tell-fetches.ts'
import { productVersion } from './version.ts'

export type UpOptions = {
  spec?: string
  host?: string
  port?: number
  gguf?: string
  model?: string
  engine?: string
  json?: boolean
  verbose?: boolean
}

export type UpWorld = {
  env: NodeJS.ProcessEnv
  say: (text: string) => void
  terminal: boolean
  signal: AbortSignal
}

/** So often a process may die before the service was ever up: then the start has failed. */
const mostFailedStarts = 5
const longestLoadMs = 120_000

/** Serves until `signal`, then drains and resolves. Throws CliError for what the person must mend. */
export async function runUp(options: UpOptions, { env, say, terminal, signal }: UpWorld): Promise<void> {
  if (options.model !== undefined) {
    const hub = openHuggingFace(readHubSettings(env))
    await checkModel(options.model, { hub, store: openArtifactFolder(openHome(homeFolder(env)).artifacts), signal })
  }
  const order: UpOrder = {
    spec: options.spec === undefined ? null : resolve(options.spec),
    fragment: await refuse(() =>
      toFragment({
        gguf: options.gguf ?? null,
        model: options.model ?? null,
        engine: options.engine ?? null,
        engineKey: env['HOLDFAST_ENGINE_KEY'] ?? null,
      }),
    ),
  }
  const desired = await readDesired(order)
  if (!desired.ok) throw specRefused(desired.problems)
  const { spec, notes } = desired

  const home = openHome(homeFolder(env))
  const changed = meaningProblems(home, { spec, order })
  if (changed.length > 0) throw specRefused(changed)
  const admin = await refuse(() => readAdminKey(home.adminKey, env))
  await refuse(() => readStorePlace(spec.store, { home, env }))
  await refuse(() => requireCertificate(desired))
  const listen = {
    host: options.host ?? env['HOLDFAST_HOST'] ?? spec.gateway.listen.host,
    port: options.port ?? portOf(env['HOLDFAST_PORT']) ?? spec.gateway.listen.port,
  }
  const inherited = inheritedSocket(env, process.pid)
  const socket =
    inherited === null
      ? await refuse(() => bindListeningSocket(listen.host, listen.port))
      : { ...listen, fd: inherited.fd, close: () => {} }
  const authority = `${hostFor(socket.host)}:${socket.port}`
  const lifeline = await refuse(() => holdLifeline(home.parentSocket))

  const facts: ServiceFacts = {
    url: `${spec.gateway.tls === undefined ? 'http' : 'https'}://${authority}`,
    socket: home.gatewaySocket,
    pid: process.pid,
    startedAt: now(),
    processes: [],
  }
  const own = { role: 'up', pid: process.pid, startedAt: now(), restarts: 0, release: productVersion() }
  const childEnv = {
    ...env,
    HOLDFAST_HOME: home.root,
    HOLDFAST_UP: JSON.stringify(order),
    HOLDFAST_LOG_LEVEL: env['HOLDFAST_LOG_LEVEL'] ?? (options.verbose === true ? 'info' : 'warn'),
    // They are this process's, not its children's.
    LISTEN_FDS: undefined,
    LISTEN_PID: undefined,
    LISTEN_FDNAMES: undefined,
  }
  // The agent starts from this, so that engines load while the controller is still starting.
  const { processes } = readEngines(home.engines)
  const reality = lastReality(home, desired)
  writeEngines(home.engines, { engines: compileDesired(desired, { home, reality }).engines, processes })
  // What the last service fetched says nothing about this one.
  writeFetches(home.fetches, [])
  let greeted = false
  const stopTelling = new AbortController()
  const telling = tellFetches({
    read: () => readFetches(home.fetches),
    write: text => process.stderr.write(text),
    moving: () => terminal && options.json !== true && !greeted,
    signal: stopTelling.signal,
  })
  const up = Promise.withResolvers<void>()
  let isUp = false
  // A start that failed is told where the start is awaited.
  up.promise.catch(() => {})

  const roles = startRoles({
    release: readRelease(fileURLToPath(new URL('../../', import.meta.url))),
    env: childEnv,
    fd: socket.fd,
    onGatewayReady: onGatewayMessage,
    onChange(processes) {
      facts.processes = [own, ...processes]
      writeServiceFacts(home.service, facts)
    },
    onRestart(role, restarts) {
      if (restarts >= mostFailedStarts && !isUp)
        up.reject(new CliError(`The ${role} does not start; its last words are above.`, 1))
    },
    say: text => process.stderr.write(text),
  })
  const orders = await listenForOrders(home.ordersSocket, takeOrders(roles))
  const hangUps = applyOnHangUp({
    socket: home.controllerSocket,
    key: admin.key,
    say: text => process.stderr.write(text),
    ignored: terminal,
  })
  try {
    await Promise.race([up.promise, aborted(signal)])
    if (!signal.aborted) await greet()
    greeted = true
    await aborted(signal)
    if (terminal) say('\nDraining: running requests may finish, new ones wait.\n')
  } finally {
    stopTelling.abort()
    await telling.over
    orders.close()
    hangUps.close()
    await roles.stop()
    await lifeline.close()
    socket.close()
  }

  function onGatewayMessage(message: unknown): void {
    const scheme = readySchemeOf(message)
    if (scheme === null) return
    facts.url = `${scheme}://${authority}`
    writeServiceFacts(home.service, facts)
    isUp = true
    up.resolve()
  }

  async function greet(): Promise<void> {
    const progress = options.json !== true && terminal
    const { url } = facts
    const models = await awaitModels({
      socket: home.gatewaySocket,
      key: admin.key,
      longestMs: longestLoadMs,
      fetchOf: version => readFetches(home.fetches).find(fetch => fetch.version === version)?.state ?? null,
      signal,
      onProgress: loading => {
        const fetching = readFetches(home.fetches).some(({ state }) => state === 'fetching')
        if (progress && !fetching) process.stderr.write(`\rLoading ${loading.join(', ') || 'models'} … `)
      },
    })
    if (progress) process.stderr.write('\r\x1b[K')
    if (signal.aborted) return
    // Why one is not available stands above that it isn't.
    telling.look()
    if (options.json === true) {
      say(
        `${JSON.stringify({ url, home: home.root, adminKeyFile: admin.source === 'environment' ? null : home.adminKey, models })}\n`,
      )
      return
    }
    say(
      renderBanner({
        version: productVersion(),
        url,
        publicUrl: spec.gateway.publicUrl?.replace(/\/+$/, '') ?? null,
        openTo: isLoopbackHost(socket.host) || url.startsWith('https') ? null : `${socket.host}:${socket.port}`,
        home: home.root,
        admin,
        adminFile: home.adminKey,
        models,
        notes,
        found: options.engine === undefined ? await findEngines(usualPorts, socket.port) : [],
        showKey: terminal || admin.source === 'made',
      }),
    )
  }
}

const specRefused = (problems: readonly string[]): CliError =>
  new CliError(`The spec can't be used:\n\n${problems.join('\n')}\n\nNothing was started.`, 1)

/** A gateway that can't show its certificate serves nobody. */
async function requireCertificate(desired: DesiredSpec): Promise<void> {
  const { tls } = withWholePaths(desired).gateway
  if (tls === undefined) return
  const { certificateProblem } = await import('../adapters/openai-http/index.ts')
  const problem = certificateProblem({ ...tls, clientCa: tls.clientCa ?? null })
  if (problem !== null) throw new Error(problem)
}

/** What these steps throw is for the person to mend. */
async function refuse<T>(step: () => T | Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    throw new CliError(error instanceof Error ? error.message : String(error), 1)
  }
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  const port = Number(text)
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new CliError(`HOLDFAST_PORT is '${text}'; it must be a number from 0 to 65535.`, 2)
  return port
}

const isLoopbackHost = (host: string): boolean => host === 'localhost' || host === '::1' || host.startsWith('127.')

/** An address that programs on this machine can use. */
function hostFor(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return isIPv6(host) ? `[${host}]` : host
}

const now = (): string => new Date().toISOString()
