/** Prune: removes what nothing in a registry names. What a version names stays, whatever happens beside it: see `push.ts`. */
import { ArtifactError, decidePrune, graceMs, prunePath, shown, type Prunable } from '../../domain/catalog/index.ts'
import { announcedMs } from './announce.ts'
import { leasedBlobs, readContents } from './contents.ts'
import { withPatience } from './patience.ts'
import type { ObjectPlace, RegistryClock } from './ports.ts'

export type PruneOrder = {
  /** Only told, when false. */
  remove: boolean
  withSources: boolean
  newId: () => string
  clock: RegistryClock
  signal: AbortSignal
  onRemoved?: (done: number, all: number) => void
}

/** `left`: what there was no time for. `young`: unnamed blobs that may still be named. */
export type Pruned = { removed: Prunable[]; left: Prunable[]; young: { files: number; bytes: number } }

const lastWordMs = 5_000

/** Throws ArtifactError, and removes nothing, when there is a document that can't be read: it might name anything. */
export async function prune(anyPlace: ObjectPlace, order: PruneOrder): Promise<Pruned> {
  const { clock, signal, newId } = order
  const place = withPatience(anyPlace, clock)
  if (!order.remove) {
    const { remove, young } = await decide(place, order)
    return { removed: remove, left: [], young }
  }
  const mark = prunePath(newId())
  const began = clock.now().getTime()
  try {
    await place.create(
      mark,
      new TextEncoder().encode(JSON.stringify({ schema: 1, at: clock.now().toISOString() })),
      signal,
    )
    const { remove, young } = await decide(place, order)
    const removed: Prunable[] = []
    for (const each of remove) {
      // Pushes soon take this prune for dead.
      if (clock.now().getTime() - began > announcedMs / 2) break
      await place.remove(each.path, signal)
      removed.push(each)
      order.onRemoved?.(removed.length, remove.length)
    }
    return { removed, left: remove.slice(removed.length), young }
  } finally {
    await anyPlace.remove(mark, AbortSignal.timeout(lastWordMs)).catch(() => {})
  }
}

async function decide(
  place: ObjectPlace,
  { withSources, clock, signal }: PruneOrder,
): Promise<ReturnType<typeof decidePrune>> {
  // Leases before documents: a push that ended in between has left its names by then.
  const leased = await leasedBlobs(place, { now: clock.now(), maxAgeMs: graceMs }, signal)
  const { objects, versions, mirrored, unreadable } = await readContents(place, signal)
  const [first] = unreadable
  if (first !== undefined)
    throw new ArtifactError(
      'never',
      `nothing of ${place.name} is removed: ${first.problem}, and it might name anything` +
        `${unreadable.length > 1 ? ` (and ${unreadable.length - 1} more)` : ''}. Mend or remove ${shown(first.path)}; 'holdfast model verify' tells what else is wrong`,
    )
  const now = clock.now().getTime()
  return decidePrune({
    objects: objects.map(({ path, bytes, modifiedAt }) => ({ path, bytes, ageMs: now - modifiedAt.getTime() })),
    versions: versions.map(({ from, artifact }) => ({ from, sha256: artifact.files.map(({ sha256 }) => sha256) })),
    mirrored: new Map(mirrored.map(({ object, is }) => [object.path, is.sha256])),
    ...{ leased, withSources },
  })
}
