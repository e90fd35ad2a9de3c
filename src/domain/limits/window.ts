/**
 * A window: what was used in the last minute, in slices of half a second. A slice leaves when its last moment is a minute
 * old, so no 60 seconds ever hold more than the window says. Plain data: there is one for each subject.
 */
import { millis, type Millis } from '../units.ts'

export const windowSpan = 60_000
export const sliceSpan = 500

export type Window = {
  /** Slices with a use in them, in their order, and beside them how much. Those before `first` have left. */
  slices: number[]
  counts: number[]
  first: number
  total: number
}

export const openWindow = (): Window => ({ slices: [], counts: [], first: 0, total: 0 })

/** The slice of a moment, on a clock that never goes back. */
export const sliceAt = (now: number): number => Math.floor(now / sliceSpan)

/** When a slice counts no more. */
export const leavesAt = (slice: number): number => (slice + 1) * sliceSpan + windowSpan

export function totalOf(window: Window, now: number): number {
  const { slices, counts } = window
  while (window.first < slices.length && leavesAt(slices[window.first] ?? 0) <= now) {
    window.total -= counts[window.first] ?? 0
    window.first += 1
  }
  if (window.first > 32 && window.first * 2 > slices.length) {
    slices.splice(0, window.first)
    counts.splice(0, window.first)
    window.first = 0
  }
  return window.total
}

/** Counts; answers the slice it counts in. */
export function addTo(window: Window, now: number, count: number): number {
  const newest = window.slices.at(-1) ?? -1
  const slice = Math.max(sliceAt(now), newest)
  if (slice === newest) window.counts[window.counts.length - 1] = (window.counts.at(-1) ?? 0) + count
  else {
    window.slices.push(slice)
    window.counts.push(count)
  }
  window.total += count
  return slice
}

/** Takes back what was counted in a slice. What has left already is nobody's any more. */
export function giveBackTo(window: Window, slice: number, count: number): void {
  const at = window.slices.lastIndexOf(slice)
  if (at < window.first) return
  const given = Math.min(count, window.counts[at] ?? 0)
  window.counts[at] = (window.counts[at] ?? 0) - given
  window.total -= given
}

/** Makes the total what somebody else says it is: more is new, less has left from the oldest on. */
export function mirrorTotal(window: Window, now: number, total: number): void {
  const known = totalOf(window, now)
  if (total > known) addTo(window, now, total - known)
  for (let at = window.first, less = known - total; less > 0 && at < window.slices.length; at += 1) {
    const given = Math.min(less, window.counts[at] ?? 0)
    window.counts[at] = (window.counts[at] ?? 0) - given
    window.total -= given
    less -= given
  }
}

/** What counts in the slices before the one given. */
export function totalBefore(window: Window, slice: number): number {
  let sum = 0
  for (let at = window.first; at < window.slices.length && (window.slices[at] ?? 0) < slice; at += 1)
    sum += window.counts[at] ?? 0
  return sum
}

/** What was used in about the last second. */
export function recentOf(window: Window, now: number): number {
  const since = sliceAt(now) - 2
  let sum = 0
  for (let at = window.slices.length - 1; at >= window.first && (window.slices[at] ?? 0) >= since; at -= 1)
    sum += window.counts[at] ?? 0
  return sum
}

/** How long until nothing counts any more. */
export function clearsIn(window: Window, now: number): Millis {
  if (totalOf(window, now) === 0) return millis(0)
  const last = window.counts.findLastIndex(count => count > 0)
  return millis(Math.max(0, leavesAt(window.slices[last] ?? 0) - now))
}

/** What counts, as slice and count, one after the other. */
export function flatten(window: Window, now: number): number[] {
  totalOf(window, now)
  const flat: number[] = []
  for (let at = window.first; at < window.slices.length; at += 1) {
    const count = window.counts[at] ?? 0
    if (count > 0) flat.push(window.slices[at] ?? 0, count)
  }
  return flat
}
