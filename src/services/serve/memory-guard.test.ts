import { expect, test } from 'vitest'
import { bytes, millis } from '../../domain/units.ts'
import { openMemoryGuard } from './memory-guard.ts'

function open() {
  const memory = { used: 0, heap: 0, reads: 0 }
  let time = 0
  const guard = openMemoryGuard({
    bounds: [
      {
        used: () => {
          memory.reads++
          return bytes(memory.used)
        },
        limit: bytes(1_000),
      },
      { used: () => bytes(memory.heap), limit: bytes(100) },
    ],
    now: () => millis(time),
  })
  const at = (ms: number): boolean => {
    time = ms
    return guard.mustShed()
  }
  return { memory, at }
}

test('it sheds from nine tenths of the limit until less than eight tenths are used', () => {
  const { memory, at } = open()
  const uses = [0, 899, 900, 850, 800, 799, 850, 899, 1_200]
  const shed = uses.map((used, index) => {
    memory.used = used
    return at(index * 250)
  })
  expect(shed).toEqual([false, false, true, true, true, false, false, false, true])
})

test('whichever is nearest to its limit counts', () => {
  const { memory, at } = open()
  memory.used = 500
  memory.heap = 90
  expect(at(0)).toBe(true)
  memory.heap = 10
  expect(at(250)).toBe(false)
})

test('however often it is asked, it reads once in a quarter of a second', () => {
  const { memory, at } = open()
  for (let count = 0; count < 1_000; count++) at(0)
  memory.used = 950
  expect(at(249)).toBe(false)
  expect(memory.reads).toBe(1)
  expect(at(250)).toBe(true)
  expect(memory.reads).toBe(2)
})
