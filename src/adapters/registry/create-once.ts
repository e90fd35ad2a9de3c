/**
 * A small object that never replaces another one, on stores that may or may not refuse a second write themselves. Which
 * of the two a store does is tried out once: what was just written is written again.
 *
 * A store that refuses decides alone. On one that replaces, plain reads and writes decide (Fischer's algorithm: nothing
 * there, write, wait, is it still mine?): right as long as no other writer needs longer than the wait between its look
 * and its write. That is then said, and what would mend it.
 */
import { setTimeout as pause } from 'node:timers/promises'

export type OnceStore = {
  /** The whole object; `null`: there is none. */
  read(signal: AbortSignal): Promise<Uint8Array | null>
  /** `refused`: because there is one. */
  put(signal: AbortSignal): Promise<'written' | 'refused'>
}

export type Guard = {
  /** `null`: not known yet. */
  refuses: boolean | null
  /** Waits before the last look: where the store refuses, and where it replaces. */
  waitMs: { refusing: number; replacing: number }
  /** Called once, where the store replaces. */
  warn(): void
}

/** Of two writers at once one is told `exists`. */
export async function createOnce(
  store: OnceStore,
  content: Uint8Array,
  { guard, signal }: { guard: Guard; signal: AbortSignal },
): Promise<'created' | 'exists'> {
  const isMine = async (): Promise<boolean> => isSame(await store.read(signal), content)
  if ((await store.read(signal)) !== null) return 'exists'
  // A first answer may have been lost: then the store refuses what is ours.
  if ((await store.put(signal)) === 'refused') return (await isMine()) ? 'created' : 'exists'
  if (guard.refuses === null) {
    const refuses = (await store.put(signal)) === 'refused'
    const isFirst = guard.refuses === null
    guard.refuses = refuses
    if (isFirst && !refuses) guard.warn()
  }
  await pause(guard.refuses ? guard.waitMs.refusing : guard.waitMs.replacing, undefined, { signal })
  return (await isMine()) ? 'created' : 'exists'
}

const isSame = (found: Uint8Array | null, content: Uint8Array): boolean =>
  found !== null && Buffer.compare(found, content) === 0
