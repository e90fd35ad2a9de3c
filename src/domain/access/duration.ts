/** How long a key lives, as people and LiteLLM's scripts write it: `30s`, `30m`, `30h`, `30d`, `2w`. */
import { millis } from '../units.ts'
import type { Millis } from '../units.ts'

const second = 1000
const units: Record<string, number> = {
  s: second,
  m: 60 * second,
  h: 3600 * second,
  d: 86_400 * second,
  w: 7 * 86_400 * second,
}
const longest = 36_500 * 86_400 * second

/** `null` when the text is no duration, or one beyond a hundred years. */
export function parseDuration(text: string): Millis | null {
  const [, count, unit] = /^(\d{1,10})([smhdw])$/.exec(text.trim()) ?? []
  if (count === undefined || unit === undefined) return null
  const length = Number(count) * (units[unit] ?? Number.NaN)
  return length <= longest ? millis(length) : null
}
