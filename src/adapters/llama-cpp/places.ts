/** Places: a fixed set of things that requests borrow in the order they came. */

export type Places<Item> = {
  /** Resolves with a free item; throws the signal's reason when the asker leaves while it waits. */
  take(signal: AbortSignal): Promise<Item>
  /** Hands an item to the next in line, or keeps it. */
  give(item: Item): void
  readonly size: number
  readonly waiting: number
  readonly taken: number
}

type Waiter<Item> = { resolve: (item: Item) => void; signal: AbortSignal; leave: () => void }

export function openPlaces<Item>(items: readonly Item[]): Places<Item> {
  const free = [...items]
  const queue: Waiter<Item>[] = []
  return {
    size: items.length,
    get waiting() {
      return queue.length
    },
    get taken() {
      return items.length - free.length
    },
    take(signal) {
      if (signal.aborted) return Promise.reject(signal.reason)
      const item = free.pop()
      if (item !== undefined) return Promise.resolve(item)
      return new Promise((resolve, reject) => {
        const waiter: Waiter<Item> = {
          resolve,
          signal,
          leave: () => {
            queue.splice(queue.indexOf(waiter), 1)
            reject(signal.reason)
          },
        }
        signal.addEventListener('abort', waiter.leave, { once: true })
        queue.push(waiter)
      })
    },
    give(item) {
      const next = queue.shift()
      if (next === undefined) {
        free.push(item)
        return
      }
      next.signal.removeEventListener('abort', next.leave)
      next.resolve(item)
    },
  }
}
