import fc from 'fast-check'
import { expect, test } from 'vitest'
import { millis } from '../units.ts'
import { openWorkClock, type Work } from './work-clock.ts'

test('B1 a request alone takes the whole time', () => {
  const clock = openWorkClock()
  const work = clock.begin(millis(100))
  expect(work.end(millis(350))).toBe(250)
})

test('B1 two side by side share the time in which both run', () => {
  const clock = openWorkClock()
  const first = clock.begin(millis(0))
  const second = clock.begin(millis(100))
  expect(first.end(millis(300))).toBe(200)
  expect(second.end(millis(400))).toBe(200)
})

test('B1 idle time is nobody’s', () => {
  const clock = openWorkClock()
  expect(clock.begin(millis(0)).end(millis(10))).toBe(10)
  expect(clock.begin(millis(1_000)).end(millis(1_010))).toBe(10)
})

test('B1 ending again changes nothing, for itself and for others', () => {
  const clock = openWorkClock()
  const first = clock.begin(millis(0))
  const second = clock.begin(millis(0))
  expect(first.end(millis(100))).toBe(50)
  expect(first.end(millis(200))).toBe(50)
  expect(second.end(millis(200))).toBe(150)
})

test('B1 the shares of all add up to the time in which the engine had any', () => {
  const steps = fc.array(fc.record({ wait: fc.nat(5_000), begins: fc.boolean(), which: fc.nat(50) }), {
    maxLength: 200,
  })
  fc.assert(
    fc.property(steps, plan => {
      const clock = openWorkClock()
      const running: Work[] = []
      let at = 0
      let busy = 0
      let shared = 0
      const end = (which: number): void => {
        shared += running.splice(which % running.length, 1)[0]?.end(millis(at)) ?? 0
      }
      for (const { wait, begins, which } of plan) {
        if (running.length > 0) busy += wait
        at += wait
        if (begins || running.length === 0) running.push(clock.begin(millis(at)))
        else end(which)
      }
      while (running.length > 0) end(0)
      expect(shared).toBeCloseTo(busy, 6)
    }),
  )
})
