/** What the commands about registries share: which one is meant, whose spec says so, and how they end. */
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as timer } from 'node:timers/promises'
import { formatProblem, readSpecFile } from '../../../adapters/spec-file/index.ts'
import { ArtifactError } from '../../../domain/catalog/index.ts'
import type { Spec, SpecRegistry } from '../../../domain/spec/index.ts'
import type { ObjectPlace, RegistryClock } from '../../../services/registry/index.ts'
import { homeFolder } from '../../paths.ts'
import { openRegistryPlace, registriesOf } from '../../registries.ts'
import { CliError } from '../client.ts'
import { stopOnSignals } from '../stop-on-signals.ts'

const usualSpec = 'holdfast.yaml'
export const specOption = ['--spec <file>', `The spec (default: ${usualSpec}, if it is there).`] as const
export const registryOption = ['--registry <name>', 'The registry, as the spec names it.'] as const

export type Surroundings = {
  spec: Spec | null
  /** Where it was read. */
  path: string | null
  /** What the spec's relative paths start from. */
  folder: string
  registries: SpecRegistry[]
  env: NodeJS.ProcessEnv
}

export const clock: RegistryClock = {
  now: () => new Date(),
  pause: (waitMs, signal) => timer(waitMs, undefined, { signal }),
}

export const newId = (): string => randomUUID()

/** Without a spec there is one registry, a folder of this host. Throws CliError. */
export async function readSurroundings(path: string | undefined, env: NodeJS.ProcessEnv): Promise<Surroundings> {
  const home = homeFolder(env)
  if (path === undefined && !existsSync(usualSpec)) {
    const folder = resolve('.')
    return { spec: null, path: null, folder, registries: registriesOf(null, { folder, home }), env }
  }
  const file = path ?? usualSpec
  const read = await readSpecFile(file)
  if (!read.ok) throw new CliError(read.problems.map(formatProblem).join('\n'), 1)
  const { spec, folder } = read
  return { spec, path: file, folder, registries: registriesOf(spec, { folder, home }), env }
}

export type OpenRegistry = { registry: SpecRegistry; place: ObjectPlace }

/** The one that is named, else the only one that keeps versions. Throws CliError, or ArtifactError when it can't be opened. */
export function chooseRegistry(name: string | undefined, { registries, env }: Surroundings): OpenRegistry {
  const known = registries.map(each => each.name).join(', ')
  const keeping = registries.filter(({ kind }) => kind !== 'hugging-face')
  const [only, ...others] = keeping
  const registry = name === undefined ? only : registries.find(each => each.name === name)
  if (registry === undefined)
    throw new CliError(
      name === undefined
        ? 'The spec has no registry that can be written to: add one of kind directory, s3 or nexus.'
        : `There is no registry '${name}'; there is ${known}.`,
      2,
    )
  if (name === undefined && others.length > 0)
    throw new CliError(`Say which registry, with --registry: ${keeping.map(each => each.name).join(', ')}.`, 2)
  const place = openOrNull(registry, env)
  if (place !== null) return { registry, place }
  throw new CliError(
    `'${registry.name}' is Hugging Face, where weights come from: what is pushed, published and verified is kept in a registry of kind directory, s3 or nexus.`,
    2,
  )
}

/** `null`: a hub, which keeps repositories and no versions. */
export const openOrNull = (registry: SpecRegistry, env: NodeJS.ProcessEnv): ObjectPlace | null =>
  openRegistryPlace(registry, { env, tell: line => void process.stderr.write(`${line}\n`) })

/** Runs until it is done or stopped; refusals become the command's answer. `stopped`: what is true when it was stopped. */
export async function withSignal<T>(stopped: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = stopOnSignals()
  try {
    return await work(signal)
  } catch (error) {
    // Of a line that told how far it was.
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
    if (signal.aborted) throw new CliError(`Stopped: ${stopped}.`, 1, { cause: error })
    if (error instanceof ArtifactError) throw new CliError(`${error.message}.`, 1, { cause: error })
    throw error
  }
}

export const files = (count: number): string => `${count} ${count === 1 ? 'file' : 'files'}`
