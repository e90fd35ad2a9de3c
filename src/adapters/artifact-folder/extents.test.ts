import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addExtent, before, beginningOf, bytesIn, missingIn } from './extents.ts'

const size = 60
const extent = fc.tuple(fc.nat(size), fc.nat(size)).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }))

test('whatever is added in whatever order, the extents say byte by byte what is there, and the holes what is not', () => {
  fc.assert(
    fc.property(fc.array(extent, { maxLength: 20 }), fc.nat(size), (added, end) => {
      const there = new Set(added.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i)))
      const extents = added.reduce(addExtent, [] as { from: number; to: number }[])
      const bytesOf = (list: typeof added): number[] =>
        list.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i))
      const every = Array.from({ length: size }, (_, i) => i)
      expect(bytesOf(extents)).toEqual(every.filter(at => there.has(at)))
      expect(bytesOf(missingIn(extents, size))).toEqual(every.filter(at => !there.has(at)))
      expect(bytesIn(extents)).toBe(there.size)
      expect(beginningOf(extents)).toBe(every.find(at => !there.has(at)) ?? size)
      expect(bytesOf(before(extents, end))).toEqual(every.filter(at => at < end && there.has(at)))
      // In order, and none touches the next.
      expect(extents.every(({ to }, i) => to < (extents[i + 1]?.from ?? Infinity))).toBe(true)
    }),
  )
})
