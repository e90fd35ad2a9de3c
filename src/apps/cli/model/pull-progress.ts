/** How far a pull is, as people read it: the line that `up` shows, too. */
import type { FetchProgress } from '../../../services/fetch/index.ts'
import type { Fetch } from '../../fetches.ts'
import { size } from '../../../domain/size.ts'
import { tellFetches } from '../../up/tell-fetches.ts'

/** Of the speed now against what it was. */
const weight = 0.3

/** Tells on standard error until it is closed. */
export function openPullProgress(what: string, { moving }: { moving: boolean }) {
  const fetch: Fetch = {
    ...{ version: what, source: what.replace(/@sha256:.*$/, ''), state: 'fetching', doneBytes: 0, totalBytes: 0 },
    ...{ bytesPerSecond: null, why: null },
  }
  const stop = new AbortController()
  let seen: { bytes: number; atMs: number } | null = null
  const telling = tellFetches({
    read: () => (fetch.totalBytes === 0 && fetch.why === null ? [] : [{ ...fetch, bytesPerSecond: speed() }]),
    write: text => process.stderr.write(text),
    moving: () => moving,
    signal: stop.signal,
  })

  function speed(): number | null {
    const now = { bytes: fetch.doneBytes, atMs: performance.now() }
    const before = seen
    seen = now
    if (before === null || fetch.why !== null) return (fetch.bytesPerSecond = null)
    const rate = Math.max(0, ((now.bytes - before.bytes) * 1000) / Math.max(1, now.atMs - before.atMs))
    fetch.bytesPerSecond =
      fetch.bytesPerSecond === null ? rate : fetch.bytesPerSecond + weight * (rate - fetch.bytesPerSecond)
    return fetch.bytesPerSecond
  }

  return {
    tell(progress: FetchProgress): void {
      // What was there before came at no speed.
      if (progress.totalBytes !== fetch.totalBytes) seen = null
      Object.assign(fetch, progress)
    },
    /** `null`: nothing came. */
    keptBytes: (): string | null =>
      fetch.doneBytes === 0 ? null : `${size(fetch.doneBytes)} of ${size(fetch.totalBytes)}`,
    async close(): Promise<void> {
      stop.abort()
      await telling.over
    },
  }
}
