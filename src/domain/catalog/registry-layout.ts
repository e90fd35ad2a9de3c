/**
 * What a registry keeps, and where: `blobs/sha256/<hex>` are files, each once; `sources/<source>/<path>.json` says which
 * of them a source's file is; `versions/<name>.json` is what a published version is, for ever; `pushes/<id>.json` keeps
 * what a running push has brought from being pruned. The last object written makes the rest count.
 */
import type { HubSource } from './artifact.ts'

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

/** Of a whole commit; of an abbreviated one it is the beginning of the folder's name. */
export const sourceFolder = ({ repository, commit }: Pick<HubSource, 'repository' | 'commit'>): string =>
  `sources/hf/${repository.replace('/', '--')}@${commit}`

export const sourcePath = (source: Pick<HubSource, 'repository' | 'commit'>, path: string): string =>
  `${sourceFolder(source)}/${path}.json`
