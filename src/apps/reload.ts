/** What is served, and how it changes: the spec's file put in force as a whole, and releases moving on beneath it. */
import { isDeepStrictEqual } from 'node:util'
import type { LinkHub } from '../adapters/link/index.ts'
import { certificateProblem } from '../adapters/openai-http/index.ts'
import type { Log } from '../adapters/log/index.ts'
import type { InForce } from '../domain/access/index.ts'
import { FaultError } from '../domain/fault.ts'
import {
  servedChanges,
  type EngineAssignment,
  type FlagSetting,
  type Reality,
  type ServedChange,
} from '../domain/serving/index.ts'
import { inTurn, type Teams } from '../services/access/index.ts'
import type { DesiredSpec, UpOrder } from './desired.ts'
import { keepMeanings } from './known-versions.ts'
import { fixedProblems, keepServing, readServing, toServing, type Serving, type SpecState } from './last-good.ts'
import type { Home } from './paths.ts'

/** What the controller serves now; replaced whole. */
export type Current = { serving: Serving; spec: SpecState }

export type Applied = { changes: ServedChange[]; snapshot: string; inForce: InForce }

/** How releases take a spec. */
export interface FollowedBy {
  problems(desired: DesiredSpec): string[]
  /** What `follow` would make of it: the models as they would be, and what would begin or end. */
  preview(desired: DesiredSpec): { reality: Reality; changes: ServedChange[] }
  follow(desired: DesiredSpec): Promise<void>
  reality(desired: DesiredSpec): Reality
}

export type ReloadParts = {
  home: Home
  order: UpOrder
  current: Current
  hub: Pick<LinkHub, 'publishSnapshot' | 'publishEngines'>
  teams: Pick<Teams, 'declare'>
  releases: FollowedBy
  /** Flags that somebody set. */
  flags: () => ReadonlyMap<string, FlagSetting>
  /** After each change, before it is answered. */
  record: () => Promise<void>
  log: Log
}

/** Gateways write what they hear to their disks first. */
const inForceMs = 5_000

export function openReload(parts: ReloadParts) {
  const { home, order, current, hub, teams, releases, flags, record, log } = parts
  const turn = inTurn()

  async function wanted(): Promise<DesiredSpec> {
    const reading = await readServing(home, order)
    if (!reading.ok) throw new FaultError({ kind: 'spec-refused', problems: reading.problems })
    const { desired } = reading.serving
    if (desired === null) throw new TypeError('what was read from the spec has the spec')
    const problems = [
      ...fixedProblems(current.serving, reading.serving),
      ...releases.problems(desired),
      ...certificateProblems(reading.serving),
    ]
    if (problems.length > 0) throw new FaultError({ kind: 'spec-refused', problems })
    return desired
  }

  async function apply(): Promise<Applied> {
    const desired = await wanted().catch(error => {
      if (error instanceof FaultError && error.fault.kind === 'spec-refused')
        current.spec = { path: order.spec, state: 'invalid', problems: [...error.fault.problems] }
      throw error
    })
    const before = current.serving
    const begun = releases.preview(desired).changes
    await releases.follow(desired)
    const next = toServing(desired, { home, reality: releases.reality(desired), flags: flags() })
    const changes = [...servedChanges(before, next), ...begun]
    keepMeanings(home, { spec: desired.spec, order, reality: next.reality })
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
    const inForce = await exchange(before, { next, tell })
    await record()
    log.info({ snapshot: next.snapshot.id, changes: changes.length }, 'the spec is applied')
    return { changes, snapshot: next.snapshot.id, inForce }
  }

  /** Engines that are new load while the old ones still answer, where there is room for both. */
  async function exchange(
    before: Serving,
    { next, tell }: { next: Serving; tell: () => Promise<InForce> },
  ): Promise<InForce> {
    if (!takesTurns(before.reality) && !takesTurns(next.reality))
      hub.publishEngines(together(before.engines, next.engines))
    const inForce = await tell()
    // Nobody sends requests to the engines that are gone from the spec any more; they finish what they have.
    hub.publishEngines(next.engines)
    return inForce
  }

  /** The same spec, as releases and flags now are. */
  async function serveReality(): Promise<void> {
    const before = current.serving
    if (before.desired === null) return
    const next = toServing(before.desired, { home, reality: releases.reality(before.desired), flags: flags() })
    if (next.snapshot.id === before.snapshot.id && isDeepStrictEqual(next.reality, before.reality)) return
    keepMeanings(home, { spec: before.desired.spec, order, reality: next.reality })
    keepServing(home, next)
    current.serving = next
    await exchange(before, { next, tell: () => hub.publishSnapshot(next.snapshot, inForceMs) })
    log.info({ snapshot: next.snapshot.id }, 'what releases and flags want is in force')
  }

  return {
    /** Throws FaultError `spec-refused` with every problem. */
    apply: (): Promise<Applied> => turn(apply),
    /** What `apply` would change. Throws as it does. */
    async diff(): Promise<ServedChange[]> {
      const desired = await wanted()
      const { reality, changes } = releases.preview(desired)
      return [...servedChanges(current.serving, toServing(desired, { home, reality, flags: flags() })), ...changes]
    },
    serveReality: (): Promise<void> => turn(serveReality),
    path: order.spec,
  }
}

const takesTurns = (reality: Reality): boolean => Object.values(reality).some(({ liveRests }) => liveRests)

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
