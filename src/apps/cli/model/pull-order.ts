/** What `holdfast model pull` is asked for: which files, where from, and the name they are kept under. */
import { openWebFile, webFileName, type WebSource } from '../../../adapters/registry/web/index.ts'
import { FormatError, ggufParts, parseArtifactSource, parseVersionName } from '../../../domain/catalog/index.ts'
import type { HubSource, ListedFile } from '../../../domain/catalog/index.ts'
import type { SpecRegistry } from '../../../domain/spec/index.ts'
import { chooseFiles } from '../../../services/fetch/index.ts'
import { hubFilesFrom } from '../../registry-sources.ts'
import { CliError } from '../client.ts'
import { publishedVersion } from './pull-version.ts'
import type { PullOrder, PullWorld } from './pull-world.ts'

const forms =
  'the name of a version, hf:<owner>/<repository>@<commit>[:<file>], or the address of a file with @sha256:<64 hex digits>'

/** Throws CliError for what can't be meant, and ArtifactError for what can't be had. */
export async function toPullOrder(what: string, world: PullWorld): Promise<PullOrder> {
  if (/^https?:/.test(what)) return webFile(what, world)
  if (parseVersionName(what).ok) {
    const found = await publishedVersion(what, world)
    return 'fetch' in found ? found : hubFiles(found.source, found.registry, world)
  }
  const reading = parseArtifactSource(what)
  if (reading.ok && reading.source.kind === 'hf') {
    const kept = world.spec?.versions.find(({ artifact }) => artifact?.from === what)?.artifact?.registry
    return hubFiles(reading.source, world.registries.find(({ name }) => name === kept) ?? null, world)
  }
  if (reading.ok || /^[./]/.test(what))
    throw new CliError(
      `${what} is on this host already. To look at it: holdfast model inspect ${what.replace(/^file:|@sha256:.*$/g, '')}`,
      2,
    )
  throw new CliError(what.startsWith('hf:') ? `${what}: ${reading.problem}.` : `'${what}': expected ${forms}.`, 2)
}

function webFile(what: string, { fetchArtifact }: PullWorld): PullOrder {
  const [, url = '', sha256 = ''] = /^(.*)@sha256:([0-9a-f]{64})$/.exec(what) ?? []
  if (url === '') throw new CliError(`${what}: add @sha256: and the digest (64 hex digits) that the file must have.`, 2)
  if (!URL.canParse(url) || new URL(url).username !== '')
    throw new CliError(`${url}: expected an address without a user or password in it.`, 2)
  const source: WebSource = { kind: 'web', url, sha256 }
  const files = [webFileName(url)]
  return {
    ...{ source, files, leftOut: [], from: new URL(url).host, isWhole: false },
    fetch: by => fetchArtifact({ source, files, registry: openWebFile(), ...by }),
  }
}

async function hubFiles(source: HubSource, kept: SpecRegistry | null, world: PullWorld): Promise<PullOrder> {
  const { store, fetchArtifact, named, signal, onProgress } = world
  const first = named ?? kept
  const registry = hubFilesFrom(first, world)
  const from = first === null ? 'the hub' : `the registry '${first.name}'`
  const order = (files: string[], leftOut: ListedFile[]): PullOrder => ({
    ...{ source, files, leftOut, from, isWhole: source.file === null },
    fetch: by => fetchArtifact({ source, files, registry, ...by }),
  })
  if (source.file !== null) return order(partsOf(source.file), [])
  const here = await store.whole(source)
  if (here !== null) return order(here, [])
  const listed = (await registry.list(source, signal)) ?? []
  const chosen = await chooseFiles(source, listed, {
    async readWhole(path) {
      await fetchArtifact({ source, files: [path], registry, signal, onProgress })
      return store.readWhole(source, path)
    },
  })
  return order(
    chosen.files.map(({ path }) => path),
    chosen.leftOut,
  )
}

function partsOf(file: string): string[] {
  try {
    return ggufParts(file)
  } catch (error) {
    if (error instanceof FormatError) throw new CliError(`${file}: ${error.message}.`, 2, { cause: error })
    throw error
  }
}
