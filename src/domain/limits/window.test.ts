import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addTo, clearsIn, flatten, giveBackTo, mirrorTotal, openWindow, totalOf } from './window.ts'

describe('a window', () => {
  test('L1 a use counts for a minute, and for half a second more at most', () => {
    const window = openWindow()
    addTo(window, 700, 1)
    expect(totalOf(window, 60_999)).toBe(1)
    expect(totalOf(window, 61_000)).toBe(0)
  })

  test('L1 whatever is added and given back, the total is what a plain list of the same says', () => {
    const steps = fc.array(
      fc.record({
        after: fc.oneof(fc.nat(2_000), fc.nat(90_000)),
        count: fc.integer({ min: 1, max: 9 }),
        back: fc.boolean(),
      }),
    )
    fc.assert(
      fc.property(steps, played => {
        const window = openWindow()
        const list: { slice: number; count: number }[] = []
        let now = 0
        for (const { after, count, back } of played) {
          now += after
          const given = list[Math.floor(list.length / 2)]
          if (back && given !== undefined) {
            giveBackTo(window, given.slice, given.count)
            list.splice(list.indexOf(given), 1)
          } else list.push({ slice: addTo(window, now, count), count })
          const counting = list.filter(({ slice }) => (slice + 1) * 500 + 60_000 > now)
          expect(totalOf(window, now)).toBe(counting.reduce((sum, one) => sum + one.count, 0))
        }
      }),
    )
  })

  test('L9 slices that have left cost no memory', () => {
    const window = openWindow()
    for (let now = 0; now < 3_600_000; now += 500) {
      addTo(window, now, 1)
      totalOf(window, now)
    }
    expect(window.slices.length).toBeLessThan(300)
  })

  test('A2 it is clear when the last slice with something in it leaves', () => {
    const window = openWindow()
    addTo(window, 0, 2)
    const slice = addTo(window, 10_000, 1)
    expect(clearsIn(window, 10_000)).toBe(60_500)
    giveBackTo(window, slice, 1)
    expect(clearsIn(window, 10_000)).toBe(50_500)
    expect(flatten(window, 10_000)).toEqual([0, 2])
  })

  test('L11 a total that somebody else tells is mirrored: more is new, less has left from the oldest on', () => {
    const window = openWindow()
    mirrorTotal(window, 0, 5)
    mirrorTotal(window, 30_000, 8)
    expect(flatten(window, 30_000)).toEqual([0, 5, 60, 3])
    mirrorTotal(window, 31_000, 4)
    expect(flatten(window, 31_000)).toEqual([60, 3].toSpliced(0, 0, 0, 1))
  })
})
