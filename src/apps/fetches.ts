/** What the agent fetches, kept in the state folder for whoever waits for it: `up`, and status. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { FetchProgress } from '../services/fetch-artifact.ts'
import { replaceFile } from './replace-file.ts'

const Fetch = z.object({
  version: z.string(),
  /** As the spec names it: `hf:…`. */
  source: z.string(),
  state: z.enum(['fetching', 'done', 'failed']),
  doneBytes: z.number(),
  /** 0: not known yet. */
  totalBytes: z.number(),
  /** Lately; `null`: nothing comes. */
  bytesPerSecond: z.number().nullable(),
  /** What it waits for, or why it failed and what to do. */
  why: z.string().nullable(),
})
export type Fetch = z.output<typeof Fetch>

/** Dozens of pieces come in a second; nobody reads that fast. */
const writeEveryMs = 250
/** How much the last quarter of a second counts against those before. */
const weight = 0.2

/** Empty when there is none, or the file is damaged. */
export function readFetches(path: string): Fetch[] {
  try {
    return z.array(Fetch).parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return []
  }
}

export function writeFetches(path: string, fetches: readonly Fetch[]): void {
  replaceFile(path, JSON.stringify(fetches))
}

/** The agent's list. It starts empty; changes are on disk at once, progress soon. */
export function openFetches(path: string) {
  const fetches = new Map<string, Fetch & { writtenMs: number; writtenBytes: number }>()
  function write(): void {
    const list = [...fetches.values()].map(fetch => Fetch.parse(fetch))
    try {
      writeFetches(path, list)
    } catch {
      // A full disk: what is told is old then, and the next change is tried again.
    }
  }
  write()

  return {
    begin(version: string, source: string): void {
      fetches.set(version, {
        version,
        source,
        state: 'fetching',
        doneBytes: 0,
        totalBytes: 0,
        bytesPerSecond: null,
        why: null,
        writtenMs: performance.now(),
        writtenBytes: 0,
      })
      write()
    },
    progress(version: string, { doneBytes, totalBytes, why }: FetchProgress): void {
      const fetch = fetches.get(version)
      if (fetch === undefined) return
      const sinceMs = performance.now() - fetch.writtenMs
      const isNews = fetch.why !== why || fetch.totalBytes !== totalBytes
      if (!isNews && sinceMs < writeEveryMs) return
      // What was there before came at no speed.
      const rate = isNews ? null : ((doneBytes - fetch.writtenBytes) * 1000) / sinceMs
      const { bytesPerSecond: before } = fetch
      const smooth = rate === null || before === null ? (rate ?? before) : before + weight * (rate - before)
      const bytesPerSecond = why === null ? smooth : null
      const written = { writtenMs: performance.now(), writtenBytes: doneBytes }
      Object.assign(fetch, { doneBytes, totalBytes, why, bytesPerSecond, ...written })
      write()
    },
    end(version: string, state: 'done' | 'failed', why: string | null): void {
      const fetch = fetches.get(version)
      if (fetch === undefined) return
      Object.assign(fetch, { state, why, bytesPerSecond: null })
      write()
    },
    /** Nobody wants it any more. */
    forget(version: string): void {
      if (fetches.delete(version)) write()
    },
  }
}
