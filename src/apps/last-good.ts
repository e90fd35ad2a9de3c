/** What the controller serves: compiled from the spec, or the last that could be when the spec now can't. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { DeclaredTeam } from '../services/access/index.ts'
import type { Budget } from '../domain/access/index.ts'
import type { Spec } from '../domain/spec/index.ts'
import { completeSnapshot } from '../domain/serving/index.ts'
import type { EngineAssignment, Reality, Snapshot } from '../domain/serving/index.ts'
import { millis, modelName, teamName } from '../domain/units.ts'
import type { Millis } from '../domain/units.ts'
import { compileDesired, type Moving } from './compile-desired.ts'
import { readDesired } from './desired.ts'
import type { DesiredSpec, UpOrder } from './desired.ts'
import type { Home } from './paths.ts'
import { meaningProblems } from './known-versions.ts'
import { replaceFile } from './replace-file.ts'

export type Serving = {
  snapshot: Snapshot
  engines: EngineAssignment[]
  teams: DeclaredTeam[]
  /** Where gateways elsewhere reach the controller, as the spec has it. */
  controller: Spec['controller']
  /** `sqlite`, or a reference to the address of PostgreSQL. */
  store: string
  /** How long records are kept. */
  retention: Millis
  /** What all this was made of, so that it can be made anew when a release moves on; `null`: an earlier program kept it. */
  desired: DesiredSpec | null
  /** What releases had made of it. */
  reality: Reality
  /** What processes take once, when they start: by its place in the spec, as JSON. */
  fixed: Record<string, string>
}
export type SpecState = { path: string | null; state: 'ok' | 'invalid'; problems: string[] }

/** Written by this program only, so its insides are trusted once its form is right. */
const Kept = z.object({
  snapshot: z.custom<Snapshot>(value => typeof value === 'object' && value !== null && 'id' in value),
  engines: z.array(z.custom<EngineAssignment>()),
  teams: z.array(z.custom<Serving['teams'][number]>()),
  controller: z.custom<Serving['controller']>().default({ addresses: [] }),
  store: z.string().default('sqlite'),
  retention: z.custom<Millis>().default(millis(30 * 86_400_000)),
  desired: z.custom<DesiredSpec>().nullable().default(null),
  reality: z.custom<Reality>().default({}),
  fixed: z.record(z.string(), z.string()).default({}),
})

/**
 * What the spec's file wants, or what was served last when it can't be used; kept once it is served. Throws an Error with
 * the problems when there is neither.
 */
export async function loadServing(home: Home, order: UpOrder): Promise<{ serving: Serving; spec: SpecState }> {
  const reading = await readServing(home, order)
  if (reading.ok) return { serving: reading.serving, spec: { path: order.spec, state: 'ok', problems: [] } }
  return lastGood(home, { path: order.spec, problems: reading.problems })
}

/** Throws as `loadServing` does. */
export function lastGood(
  home: Pick<Home, 'controller'>,
  { path, problems }: { path: string | null; problems: string[] },
): { serving: Serving; spec: SpecState } {
  const serving = readKept(fileOf(home))
  if (serving === null) throw new Error(`The spec can't be used, and none was served before:\n${problems.join('\n')}`)
  return { serving, spec: { path, state: 'invalid', problems } }
}

/** What releases had made of the spec when it was served last, where it still has all those versions. */
export function lastReality(home: Pick<Home, 'controller'>, { spec }: DesiredSpec): Reality {
  const reality = readKept(fileOf(home))?.reality ?? {}
  const has = new Set(spec.versions.map(({ name }) => name))
  return Object.values(reality).every(({ live, beside }) => [live, ...beside].every(name => has.has(name)))
    ? reality
    : {}
}

export type ServingReading = { ok: true; serving: Serving } | { ok: false; problems: string[] }

/** What the spec's file wants now, releases aside, or everything that is wrong with it. */
export async function readServing(home: Home, order: UpOrder): Promise<ServingReading> {
  const desired = await readDesired(order)
  if (!desired.ok) return desired
  const problems = meaningProblems(home, { spec: desired.spec, order })
  if (problems.length > 0) return { ok: false, problems }
  return { ok: true, serving: toServing(desired, { home, reality: {} }) }
}

/** From now on this is what a controller starts with when the spec's file can't be used. */
export function keepServing(home: Home, serving: Serving): void {
  replaceFile(fileOf(home), JSON.stringify(serving))
}

const startAgain = "stop 'holdfast up' and start it again"
const newProcesses = "'holdfast restart controller', then 'holdfast restart gateway'"
const howToChange: Readonly<Record<string, string>> = {
  'gateway.listen': startAgain,
  'gateway.tls': startAgain,
  'store': startAgain,
  'controller.listen': newProcesses,
  'gateway.sharedLimits': newProcesses,
  'capture.retention': newProcesses,
  'capture.whenUnwritable': newProcesses,
}

/** What `next` wants otherwise, and only a new process can bring. */
export function fixedProblems(before: Serving, next: Serving): string[] {
  return Object.keys(howToChange)
    .filter(place => before.fixed[place] !== undefined && before.fixed[place] !== next.fixed[place])
    .map(
      place =>
        `${place} can't change while the service runs: ${howToChange[place]}. To apply the rest now, put it back as it was.`,
    )
}

function toFixed({ gateway, store, controller, capture }: Spec): Serving['fixed'] {
  const fixed = {
    'gateway.listen': gateway.listen,
    // Its files may change, and are read anew.
    'gateway.tls': gateway.tls !== undefined,
    store,
    'controller.listen': controller.listen ?? null,
    'gateway.sharedLimits': gateway.sharedLimits,
    'capture.retention': capture.retention,
    'capture.whenUnwritable': capture.whenUnwritable,
  }
  return Object.fromEntries(Object.entries(fixed).map(([place, value]) => [place, JSON.stringify(value)]))
}

const fileOf = (home: Pick<Home, 'controller'>): string => join(home.controller, 'last-good.json')

/** What is served of a spec, given what releases have made of it. */
export function toServing(desired: DesiredSpec, { home, ...moving }: Moving & { home: Home }): Serving {
  const teams = desired.spec.teams.map(({ name, models, limits, budget, priority }) => ({
    name: teamName(name),
    models: models?.map(modelName) ?? null,
    ...(limits === undefined ? {} : { limits }),
    ...(budget === undefined ? {} : { budget: toBudget(budget) }),
    priority,
    metadata: {},
  }))
  return {
    ...compileDesired(desired, { home, ...moving }),
    teams,
    desired: { spec: desired.spec, folder: desired.folder },
    reality: moving.reality,
    controller: desired.spec.controller,
    store: desired.spec.store,
    retention: desired.spec.capture.retention,
    fixed: toFixed(desired.spec),
  }
}

function toBudget({ amount, unit, currency, every }: NonNullable<Spec['teams'][number]['budget']>): Budget {
  return { amount, unit, currency: unit === 'money' ? currency : null, every }
}

function readKept(file: string): Serving | null {
  try {
    const kept = Kept.parse(JSON.parse(readFileSync(file, 'utf8')))
    return { ...kept, snapshot: completeSnapshot(kept.snapshot) }
  } catch {
    return null
  }
}
