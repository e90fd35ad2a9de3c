/** The parent's processes: kept running, replaced one by one without a gap, and brought back to what ran before when that fails. */
import { setTimeout as pause } from 'node:timers/promises'
import { spawnRole, type RoleProcess } from '../../adapters/processes/index.ts'
import { keepRunning, type Kept } from '../../services/supervise.ts'
import type { ProcessFact } from '../service-file.ts'
import type { Release } from './release.ts'

export type Role = 'gateway' | 'controller' | 'agent'

export type RolesParts = {
  release: Release
  env: Record<string, string | undefined>
  /** The listening socket. */
  fd: number
  onGatewayReady: (message: unknown) => void
  /** Whenever a process came or went. */
  onChange: (processes: ProcessFact[]) => void
  /** A process died and is started again. */
  onRestart: (role: Role, restarts: number) => void
  say: (text: string) => void
}

/** Until a new process must serve: it reads its state, and asks each engine once. */
const readyMs = 30_000
/** How long a gateway may take to let go of the socket. One that takes longer is stopped as if the service ended. */
const retireMs = 5_000

export type Roles = ReturnType<typeof startRoles>

export function startRoles(parts: RolesParts) {
  const { env, fd, say } = parts
  let release = parts.release
  /** What each is started from when it dies. */
  const releases: Record<Role, Release> = { gateway: release, controller: release, agent: release }
  const facts = new Map<RoleProcess, ProcessFact>()
  /** Gateways beside the one that serves: before it, or after. */
  const beside = new Set<RoleProcess>()
  const stops = { gateway: new AbortController(), controller: new AbortController(), agent: new AbortController() }
  /** Ended on purpose: nothing to tell. */
  const replaced = new Set<RoleProcess>()
  const kept: Record<Role, Kept<RoleProcess>> = {
    controller: keep('controller'),
    agent: keep('agent'),
    gateway: keep('gateway'),
  }

  function keep(role: Role): Kept<RoleProcess> {
    let current: RoleProcess | null = null
    return keepRunning<RoleProcess>({
      start: () => spawn(role, releases[role]),
      onStarted(running, restarts) {
        current = running
        const fact = facts.get(running)
        if (fact !== undefined) fact.restarts = restarts
        tell()
        parts.onRestart(role, restarts)
      },
      onEnded(why, againInMs) {
        if (current !== null && replaced.delete(current)) return
        say(`holdfast: the ${role} ended (${why}); started again in ${againInMs} ms\n`)
      },
      signal: stops[role].signal,
    })
  }

  function spawn(role: Role, from: Release, more: Record<string, string> = {}): RoleProcess {
    const running = spawnRole({
      entry: from.entry,
      role,
      env: { ...env, ...more },
      ...(role === 'gateway' ? { fd, onMessage: parts.onGatewayReady } : {}),
      // The agent's own restart leaves engines running; the service's end does not.
      ...(role === 'agent' ? { stopMessage: { type: 'stop-engines' } } : {}),
    })
    facts.set(running, {
      ...{ role, pid: running.pid, startedAt: new Date().toISOString(), restarts: 0 },
      ...{ release: from.version, state: 'running' },
    })
    void running.ended.then(() => {
      facts.delete(running)
      beside.delete(running)
      tell()
    })
    return running
  }

  function tell(): void {
    parts.onChange([...facts.values()])
  }

  /** Throws an Error that says why; then the one before serves on. */
  async function replace(role: Role, by: Release): Promise<void> {
    if (role === 'gateway') await replaceGateway(by)
    else await replaceOther(role, by)
  }

  /**
   * The new one gets ready beside the old one. Then the old one lets go of the socket and finishes what it has, and the
   * new one takes the socket; in the moment between, connections wait in the kernel.
   */
  async function replaceGateway(by: Release): Promise<void> {
    const before = releases.gateway
    const next = spawn('gateway', by, { HOLDFAST_SUCCESSOR: '1' })
    beside.add(next)
    const coming = facts.get(next)
    if (coming !== undefined) coming.state = 'starting'
    tell()
    if ((await next.said('prepared', readyMs)) === null) {
      next.kill('SIGKILL')
      throw new Error(`the new gateway did not become ready: ${await next.ended}`)
    }
    const old = kept.gateway.running()
    old.send({ type: 'retire' })
    if ((await old.said('retired', retireMs)) === null) old.kill('SIGTERM')
    const fact = facts.get(old)
    if (fact !== undefined) {
      fact.state = 'draining'
      beside.add(old)
    }
    if (coming !== undefined) coming.state = 'running'
    beside.delete(next)
    releases.gateway = by
    kept.gateway.replace(next)
    next.send({ type: 'lead' })
    if ((await next.said('ready', readyMs)) !== null) return
    // Who keeps it starts the one before again.
    releases.gateway = before
    next.kill('SIGKILL')
    throw new Error(`the new gateway did not listen: ${await next.ended}`)
  }

  /** One at a time: the next one opens what the one before had open. Gateways and engines serve on meanwhile. */
  async function replaceOther(role: 'controller' | 'agent', by: Release): Promise<void> {
    const before = releases[role]
    releases[role] = by
    const old = kept[role].running()
    replaced.add(old)
    // To the agent this is no end of the service: its engines go on.
    old.kill('SIGTERM')
    await old.ended
    const next = await successorOf(role, old)
    if ((await next.said('ready', readyMs)) !== null) return
    releases[role] = before
    next.kill('SIGKILL')
    throw new Error(`the new ${role} did not become ready: ${await next.ended}`)
  }

  async function successorOf(role: Role, old: RoleProcess): Promise<RoleProcess> {
    const untilMs = performance.now() + readyMs
    while (kept[role].running() === old && performance.now() < untilMs) await pause(10)
    return kept[role].running()
  }

  return {
    get release() {
      return release
    },
    /** One role, in the release that runs. Throws an Error that says why. */
    restart: (role: Role): Promise<void> => replace(role, release),

    /** Every process becomes `to`'s; or none does, and the Error says why. */
    async upgrade(to: Release, onStep: (text: string) => void): Promise<void> {
      const before = release
      const done: Role[] = []
      try {
        // The controller first: it brings the database forward, and what it tells is understood by older ones.
        for (const role of ['controller', 'agent', 'gateway'] as const) {
          onStep(`The ${role} becomes ${to.version} …`)
          await replace(role, to)
          done.push(role)
        }
        release = to
      } catch (error) {
        onStep(`Going back to ${before.version} …`)
        for (const role of done.toReversed())
          await replace(role, before).catch(problem =>
            onStep(problem instanceof Error ? problem.message : String(problem)),
          )
        throw error
      }
    },

    /** Gateways drain first; then the others end. */
    async stop(): Promise<void> {
      stops.gateway.abort()
      for (const other of beside) other.kill('SIGTERM')
      await Promise.all([kept.gateway.over, ...[...beside].map(({ ended }) => ended)])
      stops.controller.abort()
      stops.agent.abort()
      await Promise.all([kept.controller.over, kept.agent.over])
    },
  }
}
