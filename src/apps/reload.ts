/** Applies the spec while the service runs: all of it is in force, or nothing has changed and it is said why. */
import type { LinkHub } from '../adapters/link/index.ts'
import { certificateProblem } from '../adapters/openai-http/index.ts'
import type { Log } from '../adapters/telemetry/index.ts'
import type { InForce } from '../domain/access/index.ts'
import { FaultError } from '../domain/fault.ts'
import { servedChanges, type EngineAssignment, type ServedChange } from '../domain/serving/index.ts'
import { inTurn, type Teams } from '../services/access/index.ts'
import type { UpOrder } from './desired.ts'
import { keepMeanings } from './known-versions.ts'
import { fixedProblems, keepServing, readServing, type Serving, type SpecState } from './last-good.ts'
import type { Home } from './paths.ts'

/** What the controller serves now; replaced whole. */
export type Current = { serving: Serving; spec: SpecState }

export type Applied = { changes: ServedChange[]; snapshot: string; inForce: InForce }

export type ReloadParts = {
  home: Home
  order: UpOrder
  current: Current
  hub: Pick<LinkHub, 'publishSnapshot' | 'publishEngines'>
  teams: Pick<Teams, 'declare'>
  /** After each change, before it is answered. */
  record: () => Promise<void>
  log: Log
}

/** Gateways write what they hear to their disks first. */
const inForceMs = 5_000

export function openReload(parts: ReloadParts) {
  const { home, order, current, hub, teams, record, log } = parts
  const turn = inTurn()

  async function wanted(): Promise<Serving & { remember: () => void }> {
    const reading = await readServing(home, order)
    const problems = reading.ok
      ? [...fixedProblems(current.serving, reading.serving), ...certificateProblems(reading.serving)]
      : reading.problems
    if (!reading.ok || problems.length > 0) {
      throw new FaultError({ kind: 'spec-refused', problems })
    }
    return { ...reading.serving, remember: () => keepMeanings(home, { spec: reading.spec, order }) }
  }

  async function apply(): Promise<Applied> {
    const { remember, ...next } = await wanted().catch(error => {
      if (error instanceof FaultError && error.fault.kind === 'spec-refused')
        current.spec = { path: order.spec, state: 'invalid', problems: [...error.fault.problems] }
      throw error
    })
    const before = current.serving
    const changes = servedChanges(before, next)
    remember()
    // A controller that is killed from here on starts with the new one, whatever it had told already.
    keepServing(home, next)
    let telling: Promise<InForce> | null = null
    const tell = (): Promise<InForce> => {
      current.serving = next
      current.spec = { path: order.spec, state: 'ok', problems: [] }
      return (telling ??= hub.publishSnapshot(next.snapshot, inForceMs))
    }
    try {
      // Gateways hear of teams and snapshot in one go, once the teams are committed.
      for (const change of await teams.declare(next.teams, tell)) {
        if ('drop' in change) log.warn({ team: change.name }, 'a team is gone from the spec: its keys may use nothing')
      }
    } catch (error) {
      if (current.serving !== next) keepServing(home, before)
      throw error
    }
    hub.publishEngines(together(before.engines, next.engines))
    const inForce = await tell()
    // Nobody sends requests to the engines that are gone from the spec any more; they finish what they have.
    hub.publishEngines(next.engines)
    await record()
    log.info({ snapshot: next.snapshot.id, changes: changes.length }, 'the spec is applied')
    return { changes, snapshot: next.snapshot.id, inForce }
  }

  return {
    /** Throws FaultError `spec-refused` with every problem. */
    apply: (): Promise<Applied> => turn(apply),
    /** What `apply` would change. Throws as it does. */
    diff: async (): Promise<ServedChange[]> => servedChanges(current.serving, await wanted()),
    path: order.spec,
  }
}

/** Those that are new load already while the old ones still answer. */
function together(before: readonly EngineAssignment[], next: readonly EngineAssignment[]): EngineAssignment[] {
  const running = new Set(before.map(({ replica }) => replica))
  return [...before, ...next.filter(({ replica }) => !running.has(replica))]
}

/** A gateway that can't show its certificate goes on with the one from before, until it is restarted. */
function certificateProblems({ snapshot }: Serving): string[] {
  const { tls } = snapshot.edge
  const problem = tls === null ? null : certificateProblem(tls)
  return problem === null ? [] : [problem]
}
