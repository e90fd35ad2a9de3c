/** What a person reads about downloads while the service runs: one line that moves on a terminal, plain lines elsewhere. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Fetch } from '../fetches.ts'
import { size } from '../../domain/size.ts'

export type TellParts = {
  read: () => Fetch[]
  write: (text: string) => void
  /** Whether one line may be written again and again now. */
  moving: () => boolean
  signal: AbortSignal
}

const lookEveryMs = 500
/** Without a tenth more in so long, the same is told again. */
const atLeastEveryMs = 10_000
const longestName = 48

export type Telling = {
  /** Tells at once what is new: before anything that is said on account of it. */
  look(): void
  /** Resolves after `signal`. */
  over: Promise<void>
}

/** Tells what is new until `signal`. */
export function tellFetches({ read, write, moving, signal }: TellParts): Telling {
  const news = openNews()
  let line = ''
  return { look, over: loop() }

  function look(): void {
    const fetches = read()
    const plain = news(fetches, { nowMs: performance.now(), progress: !moving() })
    const next = moving() ? movingLine(fetches) : ''
    if (line !== '' || next !== '' || plain.length > 0)
      write(`${line === '' ? '' : '\r\x1b[K'}${plain.map(text => `${text}\n`).join('')}${next}`)
    line = next
  }

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      look()
      await pause(lookEveryMs, undefined, { signal }).catch(() => {})
    }
    if (line !== '') write('\r\x1b[K')
  }
}

/** `''`: nothing is being fetched. */
export function movingLine(fetches: readonly Fetch[]): string {
  return fetches
    .filter(({ state }) => state === 'fetching')
    .map(describe)
    .join('; ')
}

/** Gives the lines that were not told yet. `progress`: whether how far it is is told, too. */
export function openNews() {
  const told = new Map<string, { tenth: number; state: string; why: string | null; atMs: number }>()
  return (fetches: readonly Fetch[], { nowMs, progress }: { nowMs: number; progress: boolean }): string[] =>
    fetches.flatMap(fetch => {
      const { version, state, why } = fetch
      const before = told.get(version)
      const tenth = Math.floor(shareOf(fetch) * 10)
      const isNews =
        before === undefined ||
        before.state !== state ||
        before.why !== why ||
        (state === 'fetching' && (before.tenth !== tenth || nowMs - before.atMs >= atLeastEveryMs))
      if (!isNews) return []
      told.set(version, { tenth, state, why, atMs: nowMs })
      const verb = fetch.source.startsWith('file:') ? 'used' : 'fetched'
      if (state === 'failed') return [`holdfast: ${fetch.source} can't be ${verb}: ${why}`]
      if (state === 'done') return [`holdfast: ${nameOf(fetch)} is here, whole and verified`]
      return progress ? [`holdfast: ${describe(fetch)}`] : []
    })
}

function describe(fetch: Fetch): string {
  const { doneBytes, totalBytes, bytesPerSecond, why } = fetch
  if (totalBytes === 0) return `fetching ${nameOf(fetch)}${why === null ? '' : `: ${why}`}`
  const parts = [`${Math.floor(shareOf(fetch) * 100)} % of ${size(totalBytes)}`]
  if (why !== null) parts.push(why)
  else if (bytesPerSecond !== null && bytesPerSecond > 0)
    parts.push(`${(bytesPerSecond / 1e6).toFixed(1)} MB/s`, left((totalBytes - doneBytes) / bytesPerSecond))
  return `fetching ${nameOf(fetch)}: ${parts.join(', ')}`
}

const shareOf = ({ doneBytes, totalBytes }: Fetch): number => (totalBytes === 0 ? 0 : doneBytes / totalBytes)

/** The file's own name; a long one would break the line that moves. */
function nameOf({ source }: Fetch): string {
  const name = source.slice(source.lastIndexOf(source.includes('/', source.indexOf('@')) ? '/' : ':') + 1)
  return name.length > longestName ? `…${name.slice(-longestName)}` : name
}

function left(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s left`
  return seconds < 5_400 ? `${Math.round(seconds / 60)} min left` : `${(seconds / 3600).toFixed(1)} h left`
}
