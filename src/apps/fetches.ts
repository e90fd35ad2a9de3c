/** What the agent fetches, kept in the state folder for whoever waits for it: `up`, and status. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { FetchProgress } from '../services/fetch/index.ts'
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
/** How much the speed of the last quarter of a second counts against what it was before. */
const weight = 0.1

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

/** The agent's list. It starts empty; what changes is on disk soon after. */
export function openFetches(path: string) {
  const fetches = new Map<string, Fetch>()
  const seenBytes = new Map<string, number>()
  let timer: NodeJS.Timeout | null = null
  write()

  function change(version: string, to: Partial<Fetch>): void {
    const fetch = fetches.get(version)
    if (fetch === undefined) return
    // What was there before came at no speed.
    if (to.totalBytes !== undefined && to.totalBytes !== fetch.totalBytes) seenBytes.delete(version)
    Object.assign(fetch, to)
    timer ??= setInterval(tick, writeEveryMs).unref()
  }

  function tick(): void {
    const active = [...fetches.values()].filter(({ state }) => state === 'fetching')
    for (const fetch of active) {
      const before = seenBytes.get(fetch.version)
      seenBytes.set(fetch.version, fetch.doneBytes)
      if (fetch.why !== null || before === undefined) fetch.bytesPerSecond = null
      else fetch.bytesPerSecond = smooth(fetch.bytesPerSecond, ((fetch.doneBytes - before) * 1000) / writeEveryMs)
    }
    write()
    if (active.length > 0 || timer === null) return
    clearInterval(timer)
    timer = null
  }

  function write(): void {
    try {
      writeFetches(path, [...fetches.values()])
    } catch {
      // A full disk: what is told is old then, and the next change is tried again.
    }
  }

  return {
    begin(version: string, source: string): void {
      fetches.set(version, { version, source, ...nothingYet })
      write()
    },
    progress: (version: string, progress: FetchProgress): void => change(version, progress),
    end(version: string, state: 'done' | 'failed', why: string | null): void {
      change(version, { state, why, bytesPerSecond: null })
      write()
    },
    /** Nobody wants it any more. */
    forget(version: string): void {
      fetches.delete(version)
      write()
    },
  }
}

const nothingYet = { state: 'fetching', doneBytes: 0, totalBytes: 0, bytesPerSecond: null, why: null } as const

/** Never below 0: a download that starts again has no speed. */
const smooth = (before: number | null, now: number): number =>
  Math.max(0, before === null ? now : before + weight * (now - before))
