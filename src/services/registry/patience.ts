/** What may be over soon (a cut, a busy registry) is tried again; everything else is told at once. */
import { largestDocument } from '../../domain/catalog/index.ts'
import { patiently as again } from '../patiently.ts'
import type { ObjectPlace, RegistryClock } from './ports.ts'

export const patiently = <T>(
  work: () => Promise<T>,
  { clock, signal }: { clock: RegistryClock; signal: AbortSignal },
): Promise<T> => again(work, { signal, pause: (waitMs, until) => clock.pause(waitMs, until), tell: () => {} })

/**
 * The place with patience, but for reading what is large: whoever does that begins again by himself. A `create` that is
 * tried again may meet its own object.
 */
export function withPatience(place: ObjectPlace, clock: RegistryClock): ObjectPlace {
  const withClock = <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> => patiently(work, { clock, signal })
  return {
    name: place.name,
    head: (path, signal) => withClock(signal, () => place.head(path, signal)),
    async *read(path, range, signal) {
      if (range.to - range.from > largestDocument) yield* place.read(path, range, signal)
      else yield* await withClock(signal, () => gathered(place.read(path, range, signal)))
    },
    write: (path, upload, signal) => withClock(signal, () => place.write(path, upload, signal)),
    create: (path, content, signal) => withClock(signal, () => place.create(path, content, signal)),
    remove: (path, signal) => withClock(signal, () => place.remove(path, signal)),
    async *list(prefix, signal) {
      yield* await withClock(signal, () => gathered(place.list(prefix, signal)))
    },
    free: signal => withClock(signal, () => place.free(signal)),
  }
}

export async function gathered<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
