/** Everything a run found, as JSON; and the part of an earlier run that a later one is compared with. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { GoldenSet, Trial } from '../../../domain/evaluation/index.ts'
import type { GoldenResult } from '../../../services/evaluate/index.ts'
import { CliError } from '../client.ts'

const format = 'holdfast.eval/1'

export type Results = {
  format: typeof format
  at: string
  set: { name: string; cases: Record<string, string> }
  model: string
  against: string | null
  settings: { repeats: number; seed: number; temperature: number | null }
  kinship: readonly string[]
} & GoldenResult

type Given = {
  set: { name: string; digests: Record<string, string> }
  model: string
  against: string | null
  settings: Results['settings']
  kinship: readonly string[]
  found: GoldenResult
}

export function toResults({ set, found, ...rest }: Given): Results {
  return { format, at: new Date().toISOString(), set: { name: set.name, cases: set.digests }, ...rest, ...found }
}

/** What each case is, so that a case that was changed is not compared with what it was. */
export function digestsOf(set: GoldenSet): Record<string, string> {
  return Object.fromEntries(
    set.cases.map(each => [each.id, createHash('sha256').update(JSON.stringify(each)).digest('hex').slice(0, 16)]),
  )
}

const Check = z.union([
  z.object({
    check: z.enum(['exact', 'contains', 'regex', 'json_schema', 'tool_call', 'similar', 'rubric']),
    measured: z.literal(true),
    passes: z.boolean(),
    score: z.number(),
    why: z.string(),
  }),
  z.object({
    check: z.enum(['exact', 'contains', 'regex', 'json_schema', 'tool_call', 'similar', 'rubric']),
    measured: z.literal(false),
    why: z.string(),
  }),
])
const Claims = z.union([
  z.object({ kind: z.literal('claims'), supported: z.int(), unsupported: z.array(z.string()) }),
  z.object({ kind: z.literal('none') }),
  z.object({ kind: z.literal('unparsable'), why: z.string() }),
])
const KeptTrial = z.union([
  z.object({
    kind: z.literal('answered'),
    answer: z.string(),
    checks: z.array(Check),
    claims: Claims.nullable(),
    cut: z.boolean(),
    latencyMs: z.number(),
  }),
  z.object({ kind: z.literal('failed'), why: z.string() }),
])
const Kept = z.object({
  format: z.literal(format),
  model: z.string(),
  set: z.object({ cases: z.record(z.string(), z.string()) }),
  judge: z.object({ pin: z.object({ judge: z.string() }) }).nullable(),
  rows: z.array(z.object({ id: z.string(), candidate: z.array(KeptTrial) })),
})

export type Baseline = { model: string; judge: string | null; trials: ReadonlyMap<string, readonly Trial[]> }

/** Only cases that are still what they were. Throws CliError when the file is no such run. */
export function readBaseline(path: string, digests: Record<string, string>): Baseline {
  const kept = Kept.safeParse(read(path))
  if (!kept.success)
    throw new CliError(
      `${path} is no run that --out kept (${kept.error.issues[0]?.path.join('.')} is not as expected).`,
      2,
    )
  const { model, judge, set, rows } = kept.data
  const same = rows.filter(row => set.cases[row.id] === digests[row.id])
  return {
    model,
    judge: judge?.pin.judge ?? null,
    trials: new Map(same.map(row => [row.id, row.candidate])),
  }
}

function read(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'it is no JSON'
    throw new CliError(`${path} can’t be read (${why}).`, 2, { cause: error })
  }
}
