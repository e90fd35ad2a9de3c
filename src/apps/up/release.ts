/** A release of Holdfast: a folder with the program in it. */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'

export type Release = { folder: string; entry: string; version: string }

const Manifest = z.looseObject({ name: z.string(), version: z.string() })
/** A program that loads nothing but itself starts within a second; a busy machine may take ten. */
const loadMs = 30_000

/** Throws an Error when there is no Holdfast in `folder`. */
export function readRelease(folder: string): Release {
  const root = resolve(folder)
  const entry = join(root, 'src', 'apps', 'main.ts')
  const read = Manifest.safeParse(parse(join(root, 'package.json')))
  if (!read.success || read.data.name !== 'holdfast' || !existsSync(entry))
    throw new Error(
      `There is no Holdfast in ${root}. Name the folder of a release: the one with package.json and bin/.`,
    )
  return { folder: root, entry, version: read.data.version }
}

/** Throws an Error with its own words when the program can't be loaded: dependencies missing, another Node needed. */
export async function checkRelease({ folder, entry }: Release): Promise<void> {
  const { promise, resolve: done } = Promise.withResolvers<string | null>()
  execFile(process.execPath, [entry, 'version', '--json'], { timeout: loadMs }, (error, _stdout, stderr) =>
    done(error === null ? null : stderr.trim().split('\n').slice(-5).join('\n') || error.message),
  )
  const problem = await promise
  if (problem === null) return
  throw new Error(`The Holdfast in ${folder} does not start with Node ${process.version}:\n${problem}`)
}

function parse(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return null
  }
}
