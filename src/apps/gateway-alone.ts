/** `holdfast gateway`: one gateway on another machine or port than its controller. Joins, holds the socket, brings it back when it dies. */
import { existsSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import {
  fingerprintOf,
  hashSecret,
  joinAt,
  looksLikeJoinToken,
  NotThere,
  openGatewayIdentity,
  parseJoinToken,
  splitAddress,
} from '../adapters/identity/index.ts'
import type { GatewayIdentity, Joined, JoinToken } from '../adapters/identity/index.ts'
import { bindListeningSocket, holdLifeline, inheritedSocket, spawnRole } from '../adapters/processes/index.ts'
import { supervise } from '../services/supervise.ts'
import { aborted } from './aborted.ts'
import { CliError } from './cli/client.ts'
import { identityFolder } from './gateway-elsewhere.ts'
import { homeFolder, openHome } from './paths.ts'
import { readySchemeOf, writeServiceFacts, type ServiceFacts } from './service-file.ts'

export type GatewayFlags = { join?: string; listen?: string; home?: string; json?: boolean; verbose?: boolean }
export type GatewayWorld = {
  env: NodeJS.ProcessEnv
  entry: string
  say: (text: string) => void
  signal: AbortSignal
}

const mostFailedStarts = 5

/** Serves until `signal`, then drains and resolves. Throws CliError for what the person must mend. */
export async function runGatewayAlone(flags: GatewayFlags, { env, entry, say, signal }: GatewayWorld): Promise<void> {
  const home = openHome(homeFolder(flags.home === undefined ? env : { ...env, HOLDFAST_HOME: flags.home }))
  if (existsSync(home.database)) {
    const problem = `${home.root} is the state folder of a whole service ('holdfast up'). Give the gateway its own: --home <folder>.`
    throw new CliError(problem, 1)
  }
  const lifeline = await refuse(() => holdLifeline(home.parentSocket))
  try {
    const identity = await refuse(() => openGatewayIdentity(identityFolder(home)))
    const joined = await joinService(identity, { asked: flags.join, secret: env['HOLDFAST_JOIN_TOKEN'], say: tell })
    await serve(joined)
  } finally {
    await lifeline.close()
  }

  function tell(text: string): void {
    if (flags.json !== true) say(`${text}\n`)
  }

  async function serve(joined: Joined): Promise<void> {
    const listen = toListen(flags.listen, env)
    const inherited = inheritedSocket(env, process.pid)
    const socket =
      inherited === null
        ? await refuse(() => bindListeningSocket(listen.host, listen.port))
        : { ...listen, fd: inherited.fd, close: () => {} }
    const authority = `${hostFor(socket.host)}:${socket.port}`
    const facts: ServiceFacts = {
      url: `http://${authority}`,
      socket: home.gatewaySocket,
      pid: process.pid,
      startedAt: now(),
      processes: [{ role: 'parent', pid: process.pid, startedAt: now(), restarts: 0 }],
    }
    const up = Promise.withResolvers<void>()
    // A start that failed is told where the start is awaited.
    up.promise.catch(() => {})
    let isUp = false
    const stop = new AbortController()
    const gateway = supervise({
      start: () =>
        spawnRole({
          entry,
          role: 'gateway',
          fd: socket.fd,
          env: {
            ...env,
            HOLDFAST_HOME: home.root,
            HOLDFAST_ELSEWHERE: '1',
            HOLDFAST_LOG_LEVEL: env['HOLDFAST_LOG_LEVEL'] ?? (flags.verbose === true ? 'info' : 'warn'),
            HOLDFAST_JOIN_TOKEN: undefined,
            LISTEN_FDS: undefined,
            LISTEN_PID: undefined,
            LISTEN_FDNAMES: undefined,
          },
          onMessage: message => {
            const scheme = readySchemeOf(message)
            if (scheme === null) return
            facts.url = `${scheme}://${authority}`
            writeServiceFacts(home.service, facts)
            isUp = true
            up.resolve()
          },
        }),
      onStarted: ({ pid }, restarts) => {
        facts.processes = [
          ...facts.processes.filter(({ role }) => role !== 'gateway'),
          { role: 'gateway', pid, startedAt: now(), restarts },
        ]
        writeServiceFacts(home.service, facts)
        if (restarts >= mostFailedStarts && !isUp)
          up.reject(new CliError('The gateway does not start; its last words are above.', 1))
      },
      onEnded: (why, againInMs) =>
        process.stderr.write(`holdfast: the gateway ended (${why}); started again in ${againInMs} ms\n`),
      signal: stop.signal,
    })
    try {
      await Promise.race([up.promise, aborted(signal)])
      if (!signal.aborted) {
        const { url } = facts
        if (flags.json === true) say(`${JSON.stringify({ url, gateway: joined.id, home: home.root })}\n`)
        else tell(`${joined.id} serves at ${url} for the controller at ${joined.controllers.join(', ')}.`)
      }
      await aborted(signal)
    } finally {
      stop.abort()
      await gateway
      socket.close()
    }
  }
}

type Asked = { asked: string | undefined; secret: string | undefined; say: (text: string) => void }

/** What it joined before, or joins now. A token that it joined with already is not used again. */
async function joinService(identity: GatewayIdentity, { asked, secret, say }: Asked): Promise<Joined> {
  const before = await refuse(() => identity.joined())
  const written = asked !== undefined && looksLikeJoinToken(asked) ? asked : secret
  const token = written === undefined || written === '' ? null : readToken(written)
  const address = asked !== undefined && !looksLikeJoinToken(asked) ? readAddress(asked) : null
  if (token === null || before?.joinedWith === hashSecret(token.secret)) {
    if (before === null) {
      const problem =
        "This gateway has not joined a service yet. Make a token where the controller is ('holdfast gateway token'), then: holdfast gateway --join <token>."
      throw new CliError(problem, 1)
    }
    if (address === null) return before
    const moved = { ...before, controllers: [address] }
    identity.save(moved)
    return moved
  }
  if (before !== null && fingerprintOf(before.authority) !== token.authority) {
    const problem =
      'This state folder belongs to a gateway of another service. Take another folder (--home), or remove its folder gateway/ when that service is gone.'
    throw new CliError(problem, 1)
  }
  const addresses = address === null ? token.addresses : [address]
  const joined = { ...(await joinAtOne(addresses, { token, identity })), controllers: addresses }
  identity.save(joined)
  say(`Joined as ${joined.id}.`)
  return joined
}

/** The first that answers. */
async function joinAtOne(
  addresses: readonly string[],
  ask: { token: JoinToken; identity: GatewayIdentity },
): Promise<Joined> {
  const away: string[] = []
  for (const address of addresses) {
    try {
      return await joinAt(address, ask)
    } catch (error) {
      if (!(error instanceof NotThere)) throw new CliError(error instanceof Error ? error.message : String(error), 1)
      away.push(`  ${error.message}`)
    }
  }
  throw new CliError(
    `No controller can be reached:\n${away.join('\n')}\nIs it running, does controller.listen in its spec say so, and is the port open? With another address: HOLDFAST_JOIN_TOKEN=<token> holdfast gateway --join <host:port>.`,
    1,
  )
}

function readToken(text: string): JoinToken {
  const token = parseJoinToken(text)
  if (token !== null) return token
  throw new CliError('This join token is mistyped or cut short. Copy the whole token again (hf-join-…).', 2)
}

function readAddress(text: string): string {
  try {
    splitAddress(text)
    return text
  } catch (error) {
    throw new CliError(
      `--join takes a token (hf-join-…) or a controller's address: ${error instanceof Error ? error.message : String(error)}.`,
      2,
    )
  }
}

function toListen(flag: string | undefined, env: NodeJS.ProcessEnv): { host: string; port: number } {
  const text = flag ?? `${bracketed(env['HOLDFAST_HOST'] || '127.0.0.1')}:${env['HOLDFAST_PORT'] || '8080'}`
  const [, six, four, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = six ?? four
  if (host === undefined || Number(port) > 65_535)
    throw new CliError(`'${text}' is nowhere to listen: write address:port, such as 0.0.0.0:8080.`, 2)
  return { host, port: Number(port) }
}

const bracketed = (host: string): string => (isIPv6(host) ? `[${host}]` : host)

/** What these steps throw is for the person to mend. */
async function refuse<T>(step: () => T | Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    throw new CliError(error instanceof Error ? error.message : String(error), 1)
  }
}

/** An address that programs on this machine can use. */
function hostFor(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return bracketed(host)
}

const now = (): string => new Date().toISOString()
