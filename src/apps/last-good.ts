/** What the controller serves: compiled from the spec, or the last that could be when the spec now can't. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { DeclaredTeam } from '../services/access/index.ts'
import type { Budget } from '../domain/access/index.ts'
import type { Spec } from '../domain/spec/index.ts'
import type { EngineAssignment, Snapshot } from '../domain/serving/index.ts'
import { millis, modelName, teamName } from '../domain/units.ts'
import type { Millis } from '../domain/units.ts'
import { compileDesired } from './compile-desired.ts'
import { readDesired } from './desired.ts'
import type { Desired, UpOrder } from './desired.ts'
import type { Home } from './paths.ts'
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
})

/** Throws an Error with the problems when the spec can't be used and there is nothing to fall back to. */
export async function loadServing(home: Home, order: UpOrder): Promise<{ serving: Serving; spec: SpecState }> {
  const file = join(home.controller, 'last-good.json')
  const desired = await readDesired(order)
  if (desired.ok) {
    const serving = toServing(desired, home)
    keep(file, serving)
    return { serving, spec: { path: order.spec, state: 'ok', problems: [] } }
  }
  const { problems } = desired
  const serving = readKept(file)
  if (serving === null) throw new Error(`The spec can't be used, and none was served before:\n${problems.join('\n')}`)
  return { serving, spec: { path: order.spec, state: 'invalid', problems } }
}

function toServing(desired: Extract<Desired, { ok: true }>, home: Home): Serving {
  const teams = desired.spec.teams.map(({ name, models, limits, budget, priority }) => ({
    name: teamName(name),
    models: models?.map(modelName) ?? null,
    ...(limits === undefined ? {} : { limits }),
    ...(budget === undefined ? {} : { budget: toBudget(budget) }),
    priority,
    metadata: {},
  }))
  return {
    ...compileDesired(desired, home),
    teams,
    controller: desired.spec.controller,
    store: desired.spec.store,
    retention: desired.spec.capture.retention,
  }
}

function toBudget({ amount, unit, currency, every }: NonNullable<Spec['teams'][number]['budget']>): Budget {
  return { amount, unit, currency: unit === 'money' ? currency : null, every }
}

function keep(file: string, serving: Serving): void {
  replaceFile(file, JSON.stringify(serving))
}

function readKept(file: string): Serving | null {
  try {
    return Kept.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    return null
  }
}
