/** Stop strings: cuts a stream of text at the first of them, and never lets a part of one out before it is known to be none. */

export type StopScanner = {
  /** Text that may go out now, and whether a stop string was met (nothing more follows then). */
  push(text: string): { text: string; stopped: boolean }
  /** What was held back, once the text is over. */
  flush(): string
}

export function openStopScanner(stops: readonly string[]): StopScanner {
  let held = ''
  return {
    push(text) {
      if (stops.length === 0) return { text, stopped: false }
      held += text
      const cut = earliest(held, stops)
      if (cut !== -1) {
        const before = held.slice(0, cut)
        held = ''
        return { text: before, stopped: true }
      }
      const keep = longestOpenEnd(held, stops)
      const out = held.slice(0, held.length - keep)
      held = held.slice(held.length - keep)
      return { text: out, stopped: false }
    },
    flush() {
      const rest = held
      held = ''
      return rest
    },
  }
}

function earliest(text: string, stops: readonly string[]): number {
  let first = -1
  for (const stop of stops) {
    const at = text.indexOf(stop)
    if (at !== -1 && (first === -1 || at < first)) first = at
  }
  return first
}

/** Length of the longest end of `text` that begins a stop string. */
function longestOpenEnd(text: string, stops: readonly string[]): number {
  let longest = 0
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
      if (text.endsWith(stop.slice(0, length))) longest = length
    }
  }
  return longest
}
