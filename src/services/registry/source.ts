/** A registry of ours as the source of files: what was mirrored of a hub's repository, and what versions are made of. */
import {
  ArtifactError,
  blobPath,
  readRegistryPath,
  sourceFolder,
  sourcePath,
  type HubSource,
  type ListedFile,
  type PinnedFile,
} from '../../domain/catalog/index.ts'
import type { Registry } from '../artifact-ports.ts'
import { readMirrored, readVersion } from './documents.ts'
import type { ObjectPlace } from './ports.ts'

export type RegistrySource = HubSource | { kind: 'version'; name: string }

const wholeCommit = 40

/** Nothing is asked before a verb is used. Files of a version are pinned with the version's name as their repository. */
export function openRegistrySource(place: ObjectPlace): Registry<RegistrySource> {
  /** The mirrored files of a source, by their paths, and the commit that it is in full; `null`: there are none. */
  async function mirrored(source: HubSource, signal: AbortSignal): Promise<{ commit: string; paths: string[] } | null> {
    const byCommit = new Map<string, string[]>()
    for await (const { path } of place.list(prefixOf(source), signal)) {
      const is = readRegistryPath(path)
      if (is.kind !== 'source') continue
      const others = byCommit.get(is.commit)
      if (others === undefined) byCommit.set(is.commit, [is.path])
      else others.push(is.path)
    }
    const [found, ...others] = byCommit
    if (found === undefined) return null
    if (others.length > 0)
      throw new ArtifactError(
        'never',
        `${place.name} has ${byCommit.size} commits of ${source.repository} that begin with ${source.commit}: write more of its digits`,
      )
    return { commit: found[0], paths: found[1] }
  }

  async function wholeCommitOf(source: HubSource, signal: AbortSignal): Promise<string | null> {
    if (source.commit.length === wholeCommit) return source.commit
    return (await mirrored(source, signal))?.commit ?? null
  }

  return {
    async list(source, signal) {
      if (source.kind === 'version') {
        const version = await readVersion(place, source.name, signal)
        return version?.artifact.files.map(({ path, bytes }) => ({ path, bytes })) ?? null
      }
      const found = await mirrored(source, signal)
      if (found === null) return null
      const { repository } = source
      const files: ListedFile[] = []
      for (const path of found.paths.toSorted()) {
        const is = await readMirrored(place, sourcePath({ repository, commit: found.commit }, path), signal)
        if (is !== null) files.push({ path, bytes: is.bytes })
      }
      return files
    },

    async locate(source, path, signal): Promise<PinnedFile | null> {
      if (source.kind === 'version') {
        const version = await readVersion(place, source.name, signal)
        const file = version?.artifact.files.find(each => each.path === path)
        if (file === undefined) return null
        return { repository: source.name, commit: '', path, bytes: file.bytes, digest: sha256(file) }
      }
      const { repository } = source
      const commit = await wholeCommitOf(source, signal)
      if (commit === null) return null
      const is = await readMirrored(place, sourcePath({ repository, commit }, path), signal)
      return is === null ? null : { repository, commit, path, bytes: is.bytes, digest: sha256(is) }
    },

    async read(file, { offset, to = file.bytes }, signal) {
      const path = blobPathOf(file)
      const head = await place.head(path, signal)
      if (head === null)
        throw new ArtifactError(
          'never',
          `${place.name} names ${file.path} and does not have its bytes (${path}): push it again, and look with 'holdfast model verify'`,
        )
      if (head.bytes !== file.bytes)
        throw new ArtifactError(
          'never',
          `${path} of ${place.name} has ${head.bytes} bytes and should have ${file.bytes}: push ${file.path} again`,
        )
      // Its digest is its name: bytes that were read before are the same ones.
      const etag = `"${file.digest.hex}"`
      if (offset === to) return { offset, to, etag, bytes: nothing() }
      return { offset, to, etag, bytes: place.read(path, { from: offset, to }, signal) }
    },

    lies: file => (file.digest.algorithm === 'sha256' ? (place.lies?.(blobPathOf(file)) ?? null) : null),
  }
}

const sha256 = ({ sha256: hex }: { sha256: string }): PinnedFile['digest'] => ({ algorithm: 'sha256', hex })

const prefixOf = ({ repository, commit }: HubSource): string =>
  commit.length === wholeCommit ? `${sourceFolder({ repository, commit })}/` : sourceFolder({ repository, commit })

function blobPathOf({ path, digest }: PinnedFile): string {
  if (digest.algorithm === 'sha256') return blobPath(digest.hex)
  throw new Error(`${path} is pinned by ${digest.algorithm}, and registries know files by their SHA-256`)
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
