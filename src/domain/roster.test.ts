import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openRoster, type Seat } from './roster.ts'

test('it holds what entered and has not left, whoever leaves in whatever order', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constant('enter' as const), fc.nat())), steps => {
      const roster = openRoster<number>()
      const seats: Seat<number>[] = []
      const model = new Set<number>()
      steps.forEach((step, number) => {
        if (step === 'enter') {
          seats.push(roster.enter(number))
          model.add(number)
          return
        }
        const seat = seats[step % Math.max(1, seats.length)]
        if (seat === undefined) return
        roster.leave(seat)
        model.delete(seat.item)
      })
      expect(roster.size).toBe(model.size)
      expect(roster.items().toSorted((a, b) => a - b)).toEqual([...model])
    }),
  )
})

test('those who are told may leave meanwhile', () => {
  const roster = openRoster<() => void>()
  const seats: Seat<() => void>[] = []
  let told = 0
  const leaves = (at: number) => () => {
    told++
    const seat = seats[at]
    if (seat !== undefined) roster.leave(seat)
  }
  for (let at = 0; at < 5; at++) seats.push(roster.enter(leaves(at)))
  for (const tell of roster.items()) tell()
  expect(told).toBe(5)
  expect(roster.size).toBe(0)
})
