/** The versions that were served from this state folder, so that their names keep their meaning through restarts. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { changedMeanings, learnVersions, type KnownVersions, type Reality } from '../domain/serving/index.ts'
import type { Spec } from '../domain/spec/index.ts'
import type { UpOrder } from './desired.ts'
import type { Home } from './paths.ts'
import { replaceFile } from './replace-file.ts'

const Kept = z.object({ versions: z.record(z.string(), z.string()) })

type Where = Pick<Home, 'controller'>

/** What `spec` may not change, in words. What flags made is for trying things out, and may mean something else each time. */
export function meaningProblems(home: Where, { spec, order }: { spec: Spec; order: UpOrder }): string[] {
  if (order.spec === null) return []
  const exempt = new Set((order.fragment?.versions ?? []).map(({ name }) => name))
  return changedMeanings(spec, read(home), exempt)
}

/** `spec` is about to be served. */
export function keepMeanings(
  home: Where,
  { spec, order, reality }: { spec: Spec; order: UpOrder; reality: Reality },
): void {
  if (order.spec === null) return
  const before = read(home)
  const after = learnVersions(before, spec, reality)
  if (JSON.stringify(after) !== JSON.stringify(before)) replaceFile(fileOf(home), JSON.stringify({ versions: after }))
}

const fileOf = (home: Where): string => join(home.controller, 'versions.json')

function read(home: Where): KnownVersions {
  try {
    return Kept.parse(JSON.parse(readFileSync(fileOf(home), 'utf8'))).versions
  } catch {
    return {}
  }
}
