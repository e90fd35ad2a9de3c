/**
 * What is known of the text of keys used lately: their hash and form, and nothing of what they may do. That is looked up
 * in the live table with each request, so a key that is revoked is refused at once. A key that is not used is forgotten
 * within two minutes, by a timer: none stays in memory because nobody came. docs/design/0013-data-plane.md says why.
 */
import type { KeyFormat } from '../../domain/access/index.ts'

export type KeyText = { hash: string; format: KeyFormat }

export type RecentKeys = {
  find(sent: string): KeyText | undefined
  /** For a key that was found: strangers can't fill this, and what they sent by mistake is not kept. */
  keep(sent: string, text: KeyText): void
}

const forgetMs = 60_000
/** Of each of two generations. */
const mostKeys = 4_096
/** Longer ones are tokens, which cost much more to check than to hash. */
const mostCharacters = 256

export function openRecentKeys(most = mostKeys): RecentKeys {
  /** Used since the last turn of generations, and since the one before. */
  let young = new Map<string, KeyText>()
  let old = new Map<string, KeyText>()
  let timer: NodeJS.Timeout | null = null

  return {
    find(sent) {
      const found = young.get(sent)
      if (found !== undefined) return found
      const older = old.get(sent)
      if (older !== undefined) keep(sent, older)
      return older
    },
    keep,
  }

  function keep(sent: string, text: KeyText): void {
    if (sent.length > mostCharacters) return
    if (young.size >= most) age()
    young.set(sent, text)
    timer ??= setTimeout(onTime, forgetMs).unref()
  }

  function age(): void {
    old = young
    young = new Map()
  }

  function onTime(): void {
    age()
    timer = old.size === 0 ? null : setTimeout(onTime, forgetMs).unref()
  }
}
