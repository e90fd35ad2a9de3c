import { expect, test } from 'vitest'
import { openCursor } from './cursor.ts'
import type { Reading } from './reading.ts'

/** Answers every question with zeros. */
function feed<T>(reading: Reading<T>): T {
  for (let step = reading.next(); ;) {
    if (step.done === true) return step.value
    if (step.value.kind !== 'bytes') throw new Error('no archive here')
    step = reading.next(new Uint8Array(step.value.bytes))
  }
}

test('F1 after its bound a file is not read on, and what is passed over does not count', () => {
  const readOn = (step: number) =>
    function* (): Reading<void> {
      const cursor = openCursor({ size: Infinity, mostBytes: 8 * 1024 * 1024 })
      for (let i = 0; i < 40_000; i++) {
        yield* cursor.u64()
        cursor.seek(cursor.at + step)
      }
    }
  expect(() => feed(readOn(1000)())).toThrow(/more than 8388608 bytes were read and the header still goes on/)
  expect(() => feed(readOn(0)())).not.toThrow()
})

test('numbers stand across windows, in either order', () => {
  function* read(): Reading<number[]> {
    const cursor = openCursor({ size: 70_000, mostBytes: Infinity })
    cursor.seek(65_535)
    const little = yield* cursor.u16()
    cursor.bigEndian = true
    cursor.seek(65_535)
    return [little, yield* cursor.u16(), cursor.at]
  }
  const file = new Uint8Array(70_000)
  file[65_536] = 1
  const reading = read()
  let step = reading.next()
  while (step.done !== true) {
    const { at, bytes } = step.value.kind === 'bytes' ? step.value : { at: 0, bytes: 0 }
    step = reading.next(file.subarray(at, at + bytes))
  }
  expect(step.value).toEqual([256, 1, 65_537])
})
