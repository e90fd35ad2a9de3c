import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openDeadlines } from './deadlines.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const dueIn = (ms: number) => ({ dueMs: performance.now() + ms, onDue: vi.fn<() => void>() })

test('a deadline is told of within a tenth of a second, and one that has moved on is not', () => {
  const deadlines = openDeadlines()
  const [soon, moved] = [dueIn(250), dueIn(250)]
  deadlines.add(soon)
  deadlines.add(moved)
  vi.advanceTimersByTime(240)
  expect(soon.onDue).not.toHaveBeenCalled()
  moved.dueMs += 10_000
  vi.advanceTimersByTime(110)
  expect(soon.onDue).toHaveBeenCalled()
  expect(moved.onDue).not.toHaveBeenCalled()
})

test('one that was dropped is told nothing, and without any no timer is left', () => {
  const deadlines = openDeadlines()
  const [first, second] = [dueIn(50), dueIn(50)]
  const seat = deadlines.add(first)
  second.onDue.mockImplementation(() => deadlines.drop(other))
  const other = deadlines.add(second)
  deadlines.drop(seat)
  deadlines.drop(seat)
  vi.advanceTimersByTime(500)
  expect(first.onDue).not.toHaveBeenCalled()
  expect(second.onDue).toHaveBeenCalledOnce()
  expect(vi.getTimerCount()).toBe(0)
  deadlines.add(dueIn(50))
  expect(vi.getTimerCount()).toBe(1)
})

test('who drops another one in the same look keeps it from being told', () => {
  const deadlines = openDeadlines()
  const [first, second] = [dueIn(50), dueIn(50)]
  const seats = [first, second].map(each => deadlines.add(each))
  for (const each of [first, second])
    each.onDue.mockImplementation(() => {
      for (const seat of seats) deadlines.drop(seat)
    })
  vi.advanceTimersByTime(500)
  expect(first.onDue.mock.calls.length + second.onDue.mock.calls.length).toBe(1)
})
