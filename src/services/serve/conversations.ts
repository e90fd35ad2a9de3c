/**
 * Conversations: the answers that a later request may go on from (`previous_response_id`) or ask for again.
 * In memory only, bounded and for a while: prompts are private, and a journal that captures no text must not be
 * undermined by a file beside it. What was dropped is refused by name, and the client sends the whole conversation.
 */
import type { KeptResponse } from '../../domain/dialect/index.ts'
import { measureJson, requestSize } from './json-size.ts'

export interface Conversations {
  /** Keeps an answer for the key that asked for it. The ones used longest ago make room; one too large is not kept. */
  keep(owner: string, kept: KeptResponse): void
  /** `null`: never kept, dropped since, or another key's. `bytes` is what it takes. */
  get(owner: string, id: string): (KeptResponse & { bytes: number }) | null
  /** Whether there was one to forget. */
  forget(owner: string, id: string): boolean
}

/** As JSON: small objects take many times their text, and what counts is that memory has an end. */
type Entry = { json: Buffer; keptAt: number }

export function openConversations({
  mostBytes,
  mostEachBytes = mostBytes,
  keptForMs,
  now,
}: {
  mostBytes: number
  /** Of one conversation: whoever goes on from it has it read and sent again, for a request of a few bytes. */
  mostEachBytes?: number
  keptForMs: number
  /** Milliseconds, from any start. */
  now: () => number
}): Conversations {
  /** Least recently used first: a Map keeps the order in which its keys came. */
  const entries = new Map<string, Entry>()
  let held = 0

  return {
    keep(owner, kept) {
      const key = keyOf(owner, kept.id)
      drop(key)
      const text = JSON.stringify(kept)
      const json = Buffer.from(text)
      // No request could go on from what is too much for one.
      if (json.length > mostEachBytes || measureJson(text, requestSize).tooMuch !== null) return
      entries.set(key, { json, keptAt: now() })
      held += json.length
      for (const [oldest, entry] of entries) {
        if (held <= mostBytes && !isOver(entry)) break
        drop(oldest)
      }
    },

    get(owner, id) {
      const key = keyOf(owner, id)
      const entry = inTime(key)
      if (entry === null) return null
      entries.delete(key)
      entries.set(key, entry)
      // What was written here is what is read.
      return { ...(JSON.parse(entry.json.toString('utf8')) as KeptResponse), bytes: entry.json.length }
    },

    forget(owner, id) {
      const key = keyOf(owner, id)
      const known = inTime(key) !== null
      drop(key)
      return known
    },
  }

  function inTime(key: string): Entry | null {
    const entry = entries.get(key)
    if (entry === undefined) return null
    if (!isOver(entry)) return entry
    drop(key)
    return null
  }

  function isOver({ keptAt }: Entry): boolean {
    return now() - keptAt >= keptForMs
  }

  function drop(key: string): void {
    const entry = entries.get(key)
    if (entry === undefined) return
    entries.delete(key)
    held -= entry.json.length
  }
}

/** As JSON, so that no owner and id can be put together to look like another pair. */
const keyOf = (owner: string, id: string): string => JSON.stringify([owner, id])
