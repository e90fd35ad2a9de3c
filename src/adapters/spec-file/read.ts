/** Reads `holdfast.yaml` and the prompt files that it names. */
import { dirname, resolve } from 'node:path'
import { inlinePrompts, notActedOn, parseSpec } from '../../domain/spec/index.ts'
import type { Spec, SpecProblem } from '../../domain/spec/index.ts'
import { readText } from './bounded.ts'
import { readYaml } from './yaml.ts'
import type { Place } from './yaml.ts'

/** Lines and columns count from 1. */
export type FileProblem = SpecProblem & { file: string; line: number; column: number }

export type SpecFileReading =
  /** `folder`: what relative paths in the spec start from. `notes`: what is accepted and not acted on yet. */
  { ok: true; spec: Spec; folder: string; notes: string[] } | { ok: false; problems: FileProblem[] }

const largestSpec = 4 * 1024 ** 2
const largestPrompt = 1024 ** 2
/** All at once, up to what somebody would read. */
const mostProblems = 200

/** Reads and checks a spec. Never throws: every problem comes with its file, line and column, in the order of the file. */
export async function readSpecFile(path: string): Promise<SpecFileReading> {
  const at = (place: Place, problem: SpecProblem): FileProblem => ({ file: path, ...place, ...problem })
  const read = await readText(path, largestSpec)
  if (!read.ok)
    return {
      ok: false,
      problems: [at({ line: read.line, column: 1 }, { path: [], message: `the spec ${read.message}` })],
    }

  const yaml = readYaml(read.text)
  if (!yaml.ok)
    return { ok: false, problems: yaml.problems.map(({ message, ...place }) => at(place, { path: [], message })) }

  const folder = dirname(resolve(path))
  const reading = parseSpec(yaml.value)
  const prompts = await readPrompts(yaml.value, folder)
  const problems = [...(reading.ok ? [] : reading.problems), ...prompts.problems]
  if (!reading.ok || problems.length > 0) {
    const placed = problems
      .slice(0, mostProblems)
      .map(problem => at(yaml.placeOf(problem.path), problem))
      .toSorted(byPlace)
    const more = problems.length - placed.length
    return {
      ok: false,
      problems:
        more === 0
          ? placed
          : [...placed, at({ line: 1, column: 1 }, { path: [], message: `and ${more} more problems` })],
    }
  }
  return { ok: true, spec: inlinePrompts(reading.spec, prompts.texts), folder, notes: notActedOn(yaml.value) }
}

const byPlace = (a: Place, b: Place): number => a.line - b.line || a.column - b.column

/** From the document rather than the spec, so that missing files are told beside all other problems. */
async function readPrompts(
  document: unknown,
  folder: string,
): Promise<{ texts: Map<string, string>; problems: SpecProblem[] }> {
  const texts = new Map<string, string>()
  const problems: SpecProblem[] = []
  for (const { id, file } of promptFiles(document)) {
    const problem = (message: string): number =>
      problems.push({ path: ['prompts', id, 'file'], message: `${file} ${message}` })
    const read = await readText(resolve(folder, file), largestPrompt)
    if (!read.ok) {
      problem(read.line === 1 ? read.message : `${read.message} (line ${read.line})`)
      continue
    }
    // Editors end files with a line break; between the prompt and the client's there is one blank line, not more.
    const text = read.text.replace(/[\r\n]+$/, '')
    if (text.trim() === '') problem('is empty')
    texts.set(file, text)
  }
  return { texts, problems }
}

function promptFiles(document: unknown): { id: string; file: string }[] {
  const prompts = isMap(document) && isMap(document['prompts']) ? document['prompts'] : {}
  return Object.entries(prompts).flatMap(([id, prompt]) =>
    isMap(prompt) && typeof prompt['file'] === 'string' && prompt['file'] !== '' ? [{ id, file: prompt['file'] }] : [],
  )
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
