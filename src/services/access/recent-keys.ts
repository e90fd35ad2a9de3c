/**
 * What is known of the text of keys used lately: their hash and form, and nothing of what they may do. That is looked up
 * in the live table with each request, so a key that is revoked is refused at once. A key that is not used is forgotten
 * within two minutes, by a timer: none stays in memory because nobody came. docs/design/0013-data-plane.md says why.
 */
import type { KeyFormat } from '../../domain/access/index.ts'
import { openGenerations } from '../../domain/generations.ts'

export type KeyText = { hash: string; format: KeyFormat }

export type RecentKeys = {
  find(sent: string): KeyText | undefined
  /** For a key that was found: strangers can't fill this, and what they sent by mistake is not kept. */
  keep(sent: string, text: KeyText): void
}

const forgetMs = 60_000
const mostKeys = 8_192
/** Longer ones are tokens, which cost much more to check than to hash. */
const mostCharacters = 256

export function openRecentKeys(most = mostKeys): RecentKeys {
  const keys = openGenerations<string, KeyText>(most)
  let timer: NodeJS.Timeout | null = null

  return {
    find: sent => keys.find(sent),
    keep(sent, text) {
      if (sent.length > mostCharacters) return
      keys.set(sent, text)
      timer ??= setTimeout(onTime, forgetMs).unref()
    },
  }

  function onTime(): void {
    keys.turn()
    timer = keys.size === 0 ? null : setTimeout(onTime, forgetMs).unref()
  }
}
