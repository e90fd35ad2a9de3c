import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openGenerations } from './generations.ts'

test('what was used within the last half of its size is there, what was not used for twice that is not', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.nat(60), { maxLength: 300 }), (half, keys) => {
      const held = openGenerations<number, number>(2 * half)
      const used: number[] = []
      keys.forEach((key, number) => {
        if (held.find(key) === undefined) held.set(key, number)
        used.push(key)
        expect(held.size).toBeLessThanOrEqual(2 * half)
        for (const recent of lastDistinct(used, half)) expect(held.peek(recent)).toBeDefined()
        for (const other of used) if (!lastDistinct(used, 2 * half).has(other)) expect(held.peek(other)).toBeUndefined()
      })
    }),
  )
})

function lastDistinct(used: readonly number[], most: number): Set<number> {
  const found = new Set<number>()
  for (let at = used.length - 1; at >= 0 && found.size < most; at--) found.add(used[at] ?? 0)
  return found
}

test('peeking keeps nothing, finding does', () => {
  const held = openGenerations<string, number>(4)
  held.set('a', 1)
  held.set('b', 2)
  held.turn()
  expect(held.peek('a')).toBe(1)
  expect(held.find('b')).toBe(2)
  held.turn()
  expect(held.peek('a')).toBeUndefined()
  expect(held.peek('b')).toBe(2)
})
