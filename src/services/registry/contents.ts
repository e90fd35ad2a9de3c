/** Everything that a registry has, with its documents read. */
import {
  ArtifactError,
  parsePushLease,
  readRegistryPath,
  type MirroredFile,
  type PublishedVersion,
} from '../../domain/catalog/index.ts'
import { readDocument, readMirrored, readVersion } from './documents.ts'
import { gathered } from './patience.ts'
import type { ListedObject, ObjectPlace } from './ports.ts'
import { several } from './several.ts'

export type MirroredEntry = { object: ListedObject; repository: string; commit: string; path: string; is: MirroredFile }

export type RegistryContents = {
  objects: ListedObject[]
  versions: PublishedVersion[]
  mirrored: MirroredEntry[]
  /** Documents that nobody can believe, each with why. */
  unreadable: { path: string; problem: string }[]
}

const readsAtOnce = 8

export async function readContents(place: ObjectPlace, signal: AbortSignal): Promise<RegistryContents> {
  const objects = await gathered(place.list('', signal))
  const contents: RegistryContents = { objects, versions: [], mirrored: [], unreadable: [] }
  await several(objects, readsAtOnce, async object => {
    const at = readRegistryPath(object.path)
    try {
      if (at.kind === 'version') {
        const version = await readVersion(place, at.name, signal)
        if (version !== null) contents.versions.push(version)
      }
      if (at.kind === 'source') {
        const { repository, commit, path } = at
        const is = await readMirrored(place, object.path, signal)
        if (is !== null) contents.mirrored.push({ object, repository, commit, path, is })
      }
    } catch (error) {
      if (!(error instanceof ArtifactError) || error.retry !== 'never') throw error
      contents.unreadable.push({ path: object.path, problem: error.message })
    }
  })
  contents.versions.sort((a, b) => (a.name < b.name ? -1 : 1))
  contents.mirrored.sort((a, b) => (a.object.path < b.object.path ? -1 : 1))
  return contents
}

/** Blobs that pushes count on which began less than `maxAgeMs` before `now`. */
export async function leasedBlobs(
  place: ObjectPlace,
  { now, maxAgeMs }: { now: Date; maxAgeMs: number },
  signal: AbortSignal,
): Promise<Set<string>> {
  const fresh = (await gathered(place.list('pushes/', signal))).filter(
    ({ path, modifiedAt }) => readRegistryPath(path).kind === 'push' && now.getTime() - modifiedAt.getTime() < maxAgeMs,
  )
  const leases = await several(fresh, readsAtOnce, ({ path }) =>
    readDocument(place, { path, parse: parsePushLease }, signal),
  )
  // One that is gone meanwhile has named what it brought.
  return new Set(leases.flatMap(lease => lease?.blobs ?? []))
}
