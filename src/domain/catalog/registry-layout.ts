/**
 * What a registry keeps, and where: `blobs/sha256/<hex>` are files, each once; `sources/<source>/<path>.json` says which
 * of them a source's file is; `versions/<name>.json` is what a published version is, for ever; `pushes/<id>.json` keeps
 * what a running push has brought from being pruned, and `prunes/<id>.json` makes pushes wait for a running prune. The last
 * object written makes the rest count.
 */
import { isInside, isRepository, type HubSource } from './artifact.ts'
import { parseVersionName } from './version-name.ts'

/** One file of an artifact, by what it holds. `path` is inside the artifact, with `/`. */
export type ArtifactFile = { path: string; bytes: number; sha256: string }

/**
 * What was published under a version's name. `identity` is `versionIdentity`'s text with the artifact's digest in place of
 * where it came from; `digest` is that text's SHA-256.
 */
export type PublishedVersion = {
  schema: 1
  name: string
  digest: string
  identity: string
  /** As the spec named it when it was published. */
  from: string
  artifact: { digest: string; files: ArtifactFile[] }
  /** ISO 8601, UTC. */
  publishedAt: string
}

export const blobPath = (sha256: string): string => `blobs/sha256/${sha256}`
export const versionPath = (name: string): string => `versions/${name}.json`
export const pushPath = (id: string): string => `pushes/${id}.json`

export const prunePath = (id: string): string => `prunes/${id}.json`

/** Of a whole commit; of an abbreviated one it is the beginning of the folder's name. */
export const sourceFolder = ({ repository, commit }: Pick<HubSource, 'repository' | 'commit'>): string =>
  `sources/hf/${repository.replace('/', '--')}@${commit}`

export const sourcePath = (source: Pick<HubSource, 'repository' | 'commit'>, path: string): string =>
  `${sourceFolder(source)}/${path}.json`

/** Every path that a registry may have. `foreign`: somebody else put it there, and nothing here touches it. */
export type RegistryPath =
  | { kind: 'blob'; sha256: string }
  | { kind: 'version'; name: string }
  | { kind: 'source'; repository: string; commit: string; path: string }
  | { kind: 'push' | 'prune' }
  /** What a writer that was killed left behind. */
  | { kind: 'leftover' }
  | { kind: 'foreign' }

/** What stands where a writer still writes. */
export const leftoverName = (id: string): string => `.${id}.part`

/** Total: whatever a place lists is one of these. */
export function readRegistryPath(text: string): RegistryPath {
  if (/(^|\/)\.[0-9a-f-]{36}\.part$/.test(text)) return { kind: 'leftover' }
  const [, sha256] = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(text) ?? []
  if (sha256 !== undefined) return { kind: 'blob', sha256 }
  const [, name] = /^versions\/([^/]+)\.json$/.exec(text) ?? []
  if (name !== undefined) return parseVersionName(name).ok ? { kind: 'version', name } : { kind: 'foreign' }
  if (/^pushes\/[^/]+\.json$/.test(text)) return { kind: 'push' }
  if (/^prunes\/[^/]+\.json$/.test(text)) return { kind: 'prune' }
  const [, folder = '', commit = '', path = ''] = /^sources\/hf\/([^/@]+)@([0-9a-f]{40})\/(.+)\.json$/s.exec(text) ?? []
  // A repository's name has no `--`: the first one stands for the `/`.
  const repository = folder.replace('--', '/')
  return isRepository(repository) && isInside(path) ? { kind: 'source', repository, commit, path } : { kind: 'foreign' }
}
