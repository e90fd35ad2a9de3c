/**
 * Push: brings files into a registry and, when every one of them is there, lets `settle` write what names them. Beside a
 * prune it is safe by this order: the lease first, then a look for running prunes, then a look for the files. A prune
 * announces itself first and looks for leases then, so that at least one of the two sees the other.
 */
import {
  ArtifactError,
  blobPath,
  pushPath,
  shown,
  type ArtifactFile,
  type PushLease,
} from '../../domain/catalog/index.ts'
import { size } from '../../domain/size.ts'
import { announcedMs } from './announce.ts'
import { withPatience } from './patience.ts'
import type { ArtifactFiles, ObjectPlace, RegistryClock } from './ports.ts'
import type { OnRegistryProgress } from './progress.ts'
import { several } from './several.ts'

export type PushOrder<T> = {
  from: ArtifactFiles
  files: readonly ArtifactFile[]
  /** Unique in the world, a new one each time. */
  newId: () => string
  /** Writes what names the files. Nothing of a push counts before it. */
  settle: (place: ObjectPlace) => Promise<T>
  clock: RegistryClock
  signal: AbortSignal
  onProgress: OnRegistryProgress
}

export type Pushed<T> = { settled: T; sent: { files: number; bytes: number }; kept: { files: number; bytes: number } }

const filesAtOnce = 4
const looksAtOnce = 8
/** Of the day that a lease lasts; the rest is for clocks that differ. */
const leaseMs = 12 * 3_600_000
const lookAgainMs = 1_000
const lastWordMs = 5_000
/** Nobody removes as often as that. */
const mostRounds = 5

/** A killed push leaves nothing that counts, and the same push again sends only what is not there yet. */
export async function pushFiles<T>(anyPlace: ObjectPlace, order: PushOrder<T>): Promise<Pushed<T>> {
  const { files, newId, settle, clock, signal } = order
  const place = withPatience(anyPlace, clock)
  const blobs = uniqueBlobs(files)
  const sent = { files: 0, bytes: 0 }
  const leases: string[] = []
  try {
    for (let round = 1; round <= mostRounds; round++) {
      const leasedAt = clock.now().getTime()
      const lease = pushPath(newId())
      await place.create(lease, toLease(blobs, clock.now()), signal)
      leases.push(lease)
      await untilNobodyPrunes(place, order)
      const missing = await missingBlobs(place, blobs, signal)
      if (missing.length > 0) {
        await send(place, missing, order)
        sent.files += missing.length
        sent.bytes += sum(missing)
        continue
      }
      if (clock.now().getTime() - leasedAt > leaseMs) continue
      const settled = await settle(place)
      const kept = { files: Math.max(0, blobs.length - sent.files), bytes: Math.max(0, sum(blobs) - sent.bytes) }
      return { settled, sent, kept }
    }
    throw new ArtifactError('later', `files vanish from ${place.name} while they are pushed: find out who removes them`)
  } finally {
    // Those of a push that was stopped, too. Whoever may not remove leaves them: they are pruned a day later.
    for (const lease of leases) await anyPlace.remove(lease, AbortSignal.timeout(lastWordMs)).catch(() => {})
  }
}

async function untilNobodyPrunes(
  place: ObjectPlace,
  { clock, signal, onProgress }: Pick<PushOrder<unknown>, 'clock' | 'signal' | 'onProgress'>,
): Promise<void> {
  for (let waited = false; ; waited = true) {
    const running: string[] = []
    for await (const { path, modifiedAt } of place.list('prunes/', signal))
      if (clock.now().getTime() - modifiedAt.getTime() < announcedMs) running.push(path)
    const [first] = running
    if (first === undefined) {
      if (waited) onProgress({ stage: 'waiting', doneBytes: 0, totalBytes: 0, why: null })
      return
    }
    const why = `${place.name} is being pruned (${shown(first)}): waiting until that is over`
    onProgress({ stage: 'waiting', doneBytes: 0, totalBytes: 0, why })
    await clock.pause(lookAgainMs, signal)
  }
}

/** One with another length is as good as none: its bytes can't be the right ones. */
async function missingBlobs(
  place: ObjectPlace,
  blobs: readonly ArtifactFile[],
  signal: AbortSignal,
): Promise<ArtifactFile[]> {
  const heads = await several(blobs, looksAtOnce, ({ sha256 }) => place.head(blobPath(sha256), signal))
  return blobs.filter(({ bytes }, at) => heads[at]?.bytes !== bytes)
}

async function send(
  place: ObjectPlace,
  missing: readonly ArtifactFile[],
  { from, signal, onProgress }: Pick<PushOrder<unknown>, 'from' | 'signal' | 'onProgress'>,
): Promise<void> {
  const totalBytes = sum(missing)
  await checkSpace(place, { totalBytes, name: from.name }, signal)
  const done = missing.map(() => 0)
  await several(missing, filesAtOnce, ({ path, bytes, sha256 }, at) =>
    place.write(
      blobPath(sha256),
      {
        ...{ bytes, sha256 },
        open: range => from.open(path, range),
        onProgress(doneBytes) {
          done[at] = doneBytes
          onProgress({ stage: 'sending', doneBytes: done.reduce((a, b) => a + b, 0), totalBytes, why: null })
        },
      },
      signal,
    ),
  )
}

async function checkSpace(
  place: ObjectPlace,
  { totalBytes, name }: { totalBytes: number; name: string },
  signal: AbortSignal,
): Promise<void> {
  const free = await place.free(signal)
  if (free === null || free >= totalBytes) return
  throw new ArtifactError(
    'later',
    `${size(totalBytes)} of ${shown(name)} are to be sent, and ${place.name} has room for ${size(free)}: ` +
      `free some space there, for instance with 'holdfast model prune'`,
  )
}

function toLease(blobs: readonly ArtifactFile[], at: Date): Uint8Array {
  const lease: PushLease = { schema: 1, at: at.toISOString(), blobs: blobs.map(({ sha256 }) => sha256) }
  return new TextEncoder().encode(JSON.stringify(lease))
}

/** Two files that hold the same are one blob. */
const uniqueBlobs = (files: readonly ArtifactFile[]): ArtifactFile[] => [
  ...new Map(files.map(file => [file.sha256, file])).values(),
]

const sum = (files: readonly ArtifactFile[]): number => files.reduce((total, { bytes }) => total + bytes, 0)
