/** Work side by side: so many at once, and connections that are shared by all who fetch. */

/** Takes from `queue` until it is empty, up to `most` at once. The first failure ends the others, and is what is thrown. */
export async function sideBySide<T>(
  queue: T[],
  { most, signal }: { most: number; signal: AbortSignal },
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  async function hand(): Promise<void> {
    try {
      for (let item = queue.shift(); item !== undefined && !either.aborted; item = queue.shift())
        await work(item, either)
    } catch (error) {
      failed.abort(error)
    }
  }
  await Promise.all(Array.from({ length: Math.min(most, queue.length) }, hand))
  signal.throwIfAborted()
  failed.signal.throwIfAborted()
}

export type Slots = <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>

/** At most so many pieces of work at once; the others wait, in order. */
export function openSlots(most: number): Slots {
  let free = most
  const waiting = new Set<() => void>()

  async function turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (free > 0) {
      free--
      return
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const leave = (): void => {
      waiting.delete(resolve)
      reject(signal.reason)
    }
    waiting.add(resolve)
    signal.addEventListener('abort', leave, { once: true })
    await promise.finally(() => signal.removeEventListener('abort', leave))
  }

  return async function inSlot(work, signal) {
    await turn(signal)
    try {
      return await work()
    } finally {
      const [next] = waiting
      if (next === undefined) free++
      else {
        waiting.delete(next)
        next()
      }
    }
  }
}
