/** What may be over soon (a cut, a busy registry) is tried again; everything else is told at once. */
import { ArtifactError, largestDocument } from '../../domain/catalog/index.ts'
import type { ObjectPlace, RegistryClock } from './ports.ts'

const mostFailures = 5
const firstWaitMs = 1_000
const longestAskedMs = 300_000

export async function patiently<T>(
  work: () => Promise<T>,
  { clock, signal }: { clock: RegistryClock; signal: AbortSignal },
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await work()
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof ArtifactError) || error.retry !== 'soon') throw error
      if (failures > mostFailures) throw new ArtifactError('later', error.message, { cause: error })
      await clock.pause(Math.min(longestAskedMs, error.afterMs ?? firstWaitMs * 2 ** (failures - 1)), signal)
    }
  }
}

/**
 * The place with patience, but for reading what is large: whoever does that begins again by himself. A `create` that is
 * tried again may meet its own object.
 */
export function withPatience(place: ObjectPlace, clock: RegistryClock): ObjectPlace {
  const again = <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> => patiently(work, { clock, signal })
  return {
    name: place.name,
    head: (path, signal) => again(signal, () => place.head(path, signal)),
    async *read(path, range, signal) {
      if (range.to - range.from > largestDocument) yield* place.read(path, range, signal)
      else yield* await again(signal, () => gathered(place.read(path, range, signal)))
    },
    write: (path, upload, signal) => again(signal, () => place.write(path, upload, signal)),
    create: (path, content, signal) => again(signal, () => place.create(path, content, signal)),
    remove: (path, signal) => again(signal, () => place.remove(path, signal)),
    async *list(prefix, signal) {
      yield* await again(signal, () => gathered(place.list(prefix, signal)))
    },
    free: signal => again(signal, () => place.free(signal)),
  }
}

export async function gathered<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
