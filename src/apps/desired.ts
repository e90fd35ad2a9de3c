/** The desired state: the spec's file and what the command line adds to it, read the same way by the parent and the controller. */
import { z } from 'zod'
import { readSpecFile, formatProblem } from '../adapters/spec-file/index.ts'
import { parseSpec, printPath, withDefaults, type Spec, type SpecInput } from '../domain/spec/index.ts'

/** What `holdfast up` was told, handed on to its processes in `HOLDFAST_UP`. */
export const UpOrder = z.object({
  /** Absolute path; `null`: the empty spec. */
  spec: z.string().nullable(),
  /** Versions and models of `--gguf` and `--engine`, in the spec's own form. */
  fragment: z.custom<SpecInput>().nullable(),
})
export type UpOrder = z.output<typeof UpOrder>

/** A spec that can be served, and the folder that its relative paths start from. */
export type DesiredSpec = { spec: Spec; folder: string }
export type Desired = ({ ok: true; notes: string[] } & DesiredSpec) | { ok: false; problems: string[] }

/** Never throws for what the spec says; problems are ready to be printed. */
export async function readDesired({ spec: path, fragment }: UpOrder): Promise<Desired> {
  const read = path === null ? parsed({}) : await readSpecFile(path)
  if (!read.ok) return { ok: false, problems: read.problems.map(formatProblem) }
  const added = fragment === null ? null : parseSpec(fragment)
  if (added !== null && !added.ok)
    return { ok: false, problems: added.problems.map(({ path: at, message }) => `${printPath(at)}: ${message}`) }
  const { spec } = read
  const taken = new Set(spec.models.map(({ name }) => name))
  const clash = added?.spec.models.find(({ name }) => taken.has(name))
  if (clash !== undefined)
    return {
      ok: false,
      problems: [`the spec has a model '${clash.name}' already: rename it there, or leave the flag out`],
    }
  const merged =
    added === null
      ? spec
      : {
          ...spec,
          versions: [...spec.versions, ...added.spec.versions],
          models: [...spec.models, ...added.spec.models],
        }
  return { ok: true, spec: withDefaults(merged), folder: read.folder, notes: read.notes }
}

function parsed(document: SpecInput): { ok: true; spec: Spec; folder: string; notes: string[] } {
  const reading = parseSpec(document)
  if (!reading.ok) throw new Error('the empty spec is not valid')
  return { ok: true, spec: reading.spec, folder: process.cwd(), notes: [] }
}
