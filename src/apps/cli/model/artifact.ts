/** What a person names to be pushed: a version of the spec, files of this host, or what was fetched from a hub. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openArtifactFolder } from '../../../adapters/artifact-folder/index.ts'
import { openArtifactFiles } from '../../../adapters/model-files/index.ts'
import { openHuggingFace } from '../../../adapters/registry/hugging-face/index.ts'
import {
  ArtifactError,
  ggufFiles,
  parseArtifactSource,
  parseVersionName,
  type HubSource,
} from '../../../domain/catalog/index.ts'
import type { SpecVersion } from '../../../domain/spec/index.ts'
import type { ArtifactFiles } from '../../../services/registry/index.ts'
import { readHubSettings } from '../../hub.ts'
import { homeFolder } from '../../paths.ts'
import { CliError } from '../client.ts'
import type { Surroundings } from './registry.ts'

export type LocalArtifact = {
  from: ArtifactFiles
  /** For whoever inspects it: a file or a folder. */
  path: string
  /** `null`: it is no hub's. */
  hub: HubSource | null
  /** What the spec says that its one file has; `null`: it does not say. */
  sha256: string | null
}

const builtinWeights = new URL('../../../../weights/', import.meta.url)

/** The version that `what` names; `null`: it is no version's name. Throws CliError for one that the spec does not have. */
export function versionNamed(what: string, { spec }: Surroundings): SpecVersion | null {
  const version = spec?.versions.find(({ name }) => name === what)
  if (version !== undefined) return version
  if (!parseVersionName(what).ok || existsSync(what)) return null
  const names = spec?.versions.map(({ name }) => name) ?? []
  throw new CliError(
    names.length === 0
      ? `${what} is a version's name, and there is no spec here with versions: name one with --spec.`
      : `The spec has no version ${what}; it has ${names.join(', ')}.`,
    2,
  )
}

/** Throws ArtifactError or CliError when this host does not have it. `from` is an artifact as specs name it, or a path. */
export async function findArtifact(from: string, surroundings: Surroundings): Promise<LocalArtifact> {
  if (!/^(hf|file|builtin):/.test(from)) return fromPath(from)
  const reading = parseArtifactSource(from)
  if (!reading.ok) throw new CliError(`${from}: ${reading.problem}.`, 2)
  const { source } = reading
  switch (source.kind) {
    case 'file':
      return { ...(await fromPath(resolve(surroundings.folder, source.path))), sha256: source.sha256 }
    case 'builtin':
      return fromPath(fileURLToPath(new URL(`${source.name}/${source.name}.gguf`, builtinWeights)))
    case 'hf':
      return fromStore(source, from, surroundings.env)
    default:
      return source satisfies never
  }
}

/** The commit in full; the hub is asked when the source has only its beginning. */
export async function inFull(
  source: HubSource,
  file: string,
  { env, signal }: { env: NodeJS.ProcessEnv; signal: AbortSignal },
) {
  if (source.commit.length === 40) return source
  const { commit } = await openHuggingFace(readHubSettings(env)).locate(source, file, signal)
  return { ...source, commit }
}

/** SHA-256 of the file that a version has as its chat template; `null`: it has that of its artifact. */
export async function templateDigest(
  version: SpecVersion,
  { folder }: Pick<Surroundings, 'folder'>,
): Promise<string | null> {
  if (version.chatTemplate === 'artifact') return null
  const path = resolve(folder, version.chatTemplate)
  try {
    return createHash('sha256')
      .update(await readFile(path))
      .digest('hex')
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new CliError(`The chat template ${path} can't be read (${why}): mend that, or write 'artifact'.`, 1, {
      cause: error,
    })
  }
}

async function fromPath(path: string): Promise<LocalArtifact> {
  return { from: await openArtifactFiles(path), path, hub: null, sha256: null }
}

async function fromStore(source: HubSource, named: string, env: NodeJS.ProcessEnv): Promise<LocalArtifact> {
  const store = openArtifactFolder(join(homeFolder(env), 'artifacts'))
  const wanted = await filesOf(source, store)
  if (wanted === null || !wanted.every(path => store.has(source, path)))
    throw new ArtifactError(
      'never',
      `${named} is not on this host, or not all of it. Fetch it: holdfast model pull ${named}`,
    )
  const folder = store.pathOf(source, '')
  const [first] = wanted
  const from = { ...(await openArtifactFiles(folder, wanted)), name: named }
  return {
    from,
    path: source.file === null || first === undefined ? folder : store.pathOf(source, first),
    hub: source,
    sha256: null,
  }
}

async function filesOf(source: HubSource, store: ReturnType<typeof openArtifactFolder>): Promise<string[] | null> {
  if (source.file === null) return store.whole(source)
  const parts = ggufFiles(source)
  return parts.ok ? parts.files : [source.file]
}
