/** The queue that `maxConcurrent` makes: first come, first served. */
export type Places = ReturnType<typeof openPlaces>

export function openPlaces() {
  let taken = 0
  const queue: (() => void)[] = []
  const leave = (): void => {
    taken--
    queue.shift()?.()
  }
  return {
    isFull: (limit: number | null): boolean => limit !== null && taken >= limit,
    /** Resolves with the function that gives the place back. Rejects when `signal` aborts first. */
    take(limit: number | null, signal: AbortSignal): Promise<() => void> {
      return new Promise((resolve, reject) => {
        const enter = (): void => {
          signal.removeEventListener('abort', giveUp)
          taken++
          resolve(leave)
        }
        const giveUp = (): void => {
          const at = queue.indexOf(enter)
          if (at !== -1) queue.splice(at, 1)
          reject(signal.reason)
        }
        if (signal.aborted) return giveUp()
        if (limit === null || taken < limit) return enter()
        signal.addEventListener('abort', giveUp, { once: true })
        queue.push(enter)
      })
    },
  }
}
