/** Extents: which parts of a file are there, in order, none touching another. */
import type { Extent } from '../../services/artifact-ports.ts'

export function addExtent(extents: readonly Extent[], added: Extent): Extent[] {
  if (added.from >= added.to) return [...extents]
  const before = extents.filter(({ to }) => to < added.from)
  const after = extents.filter(({ from }) => from > added.to)
  const touched = extents.slice(before.length, extents.length - after.length)
  const from = Math.min(added.from, touched[0]?.from ?? added.from)
  const to = Math.max(added.to, touched.at(-1)?.to ?? added.to)
  return [...before, { from, to }, ...after]
}

/** The holes of a file of so many bytes. */
export function missingIn(extents: readonly Extent[], bytes: number): Extent[] {
  const ends = [0, ...extents.map(({ to }) => to)]
  const starts = [...extents.map(({ from }) => from), bytes]
  return ends.flatMap((from, i) => {
    const to = starts[i] ?? bytes
    return from < to ? [{ from, to }] : []
  })
}

export const bytesIn = (extents: readonly Extent[]): number => extents.reduce((sum, { from, to }) => sum + to - from, 0)

/** How far it is there without a hole. */
export function beginningOf(extents: readonly Extent[]): number {
  const [first] = extents
  return first?.from === 0 ? first.to : 0
}

export const before = (extents: readonly Extent[], end: number): Extent[] =>
  extents.flatMap(({ from, to }) => (from < end ? [{ from, to: Math.min(to, end) }] : []))
