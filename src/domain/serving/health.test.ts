import fc from 'fast-check'
import { expect, test } from 'vitest'
import { instant } from '../units.ts'
import { isUsable, standingOf, stepHealth, unknownHealth, usableFor, type Health, type HealthEvent } from './health.ts'

const up: HealthEvent = { kind: 'probe-up' }
const answered: HealthEvent = { kind: 'call-answered' }
const failed: HealthEvent = { kind: 'call-failed', why: 'HTTP 500' }
const lost: HealthEvent = { kind: 'call-lost', why: 'ECONNRESET' }
const trialFailed: HealthEvent = { ...failed, as: 'trial' }

/** Events one after another, each as [seconds, event]. */
const play = (health: Health, ...events: [number, HealthEvent][]): Health =>
  events.reduce((now, [seconds, event]) => stepHealth(now, event, instant(seconds * 1_000)), health)
const after = (...events: HealthEvent[]): Health =>
  play(unknownHealth, ...events.map((event): [number, HealthEvent] => [0, event]))
const standing = (health: Health, seconds: number): string => standingOf(health, instant(seconds * 1_000))

const ejected = after(up, failed, failed, failed)

test('H1 a replica that was never probed may be given requests', () => {
  expect(standing(unknownHealth, 0)).toBe('usable')
})

test('H2 a lost connection takes a replica out at once, and a probe that finds it up brings it back', () => {
  const gone = play(unknownHealth, [0, up], [1, lost])
  expect(standing(gone, 1)).toBe('out')
  expect(standing(play(gone, [2, up]), 2)).toBe('usable')
})

test('H3 three failed calls in a row eject for 1 s, whatever probes say', () => {
  expect(standing(after(up, failed, failed), 0)).toBe('usable')
  expect(standing(stepHealth(ejected, up, instant(500)), 0.9)).toBe('last-resort')
  expect(isUsable(ejected, instant(900))).toBe(false)
  expect(isUsable(ejected, instant(1_000))).toBe(true)
})

test('H3 each ejection is twice as long as the one before, up to 30 s', () => {
  let health = ejected
  const lengths = [1]
  let now = 0
  for (let round = 0; round < 7; round++) {
    const until = health.ejection!.until / 1_000
    health = play(
      health,
      [until, { kind: 'trial-began' }],
      [until, trialFailed],
      [until, { kind: 'trial-ended', of: health.ejections }],
    )
    now = until
    lengths.push(health.ejection!.until / 1_000 - now)
  }
  expect(lengths).toEqual([1, 2, 4, 8, 16, 30, 30, 30])
})

test('H3 failures with answers in between eject nobody', () => {
  expect(standing(after(up, failed, failed, answered, failed, failed), 0)).toBe('usable')
})

test('H4 an answer clears failures, and ends an ejection only when it was asked since', () => {
  expect(after(up, failed, answered)).toMatchObject({ failures: 0, why: null })
  // Asked before the ejection, answered after it.
  expect(standing(play(ejected, [0.5, answered]), 0.5)).toBe('last-resort')
  expect(standing(play(ejected, [0.5, { ...answered, as: 'last-resort' }]), 0.5)).toBe('usable')
  expect(standing(play(ejected, [1.5, { ...answered, as: 'trial' }]), 1.5)).toBe('usable')
})

test('H4 an answer that changes nothing keeps the very same value', () => {
  const health = after(up)
  expect(stepHealth(health, answered, instant(5))).toBe(health)
})

test('H5 a loading replica is given nothing, not even as a last resort', () => {
  expect(standing(after({ kind: 'probe-loading' }), 1)).toBe('out')
  expect(standing(play(ejected, [0.1, { kind: 'probe-loading' }]), 5)).toBe('out')
})

test('H6 a failed probe takes a replica out', () => {
  expect(standing(after(up, { kind: 'probe-failed', why: 'ECONNREFUSED' }), 2)).toBe('out')
})

test('H7 after its time one request may try it, and until that ends nobody else', () => {
  expect(standing(ejected, 1)).toBe('trial')
  const tried = play(ejected, [1, { kind: 'trial-began' }])
  expect(standing(tried, 50)).toBe('last-resort')
  expect(standing(play(tried, [2, { kind: 'trial-ended', of: 1 }]), 2)).toBe('trial')
  const worked = play(tried, [2, { ...answered, as: 'trial' }], [3, { kind: 'trial-ended', of: 1 }])
  expect(standing(worked, 3)).toBe('usable')
  expect(worked.why).toBeNull()
})

test('H7 a trial whose connection is lost ejects again too', () => {
  const tried = play(
    ejected,
    [1, { kind: 'trial-began' }],
    [1, { ...lost, as: 'trial' }],
    [1, { kind: 'trial-ended', of: 1 }],
    [2, up],
  )
  expect(standing(tried, 2.9)).toBe('last-resort')
  expect(standing(tried, 3)).toBe('trial')
})

test('H7 a trial that outlasts another ejection is still the only one', () => {
  const tried = play(ejected, [1, { kind: 'trial-began' }], [2, failed], [2, failed], [2, failed])
  expect(standing(tried, 10)).toBe('last-resort')
  expect(standing(play(tried, [10, { kind: 'trial-ended', of: 1 }]), 10)).toBe('trial')
})

test('H7 the late end of an earlier trial makes no room for a second one', () => {
  const second = play(
    ejected,
    [1, { kind: 'trial-began' }],
    [1, { ...answered, as: 'trial' }],
    [2, failed],
    [2, failed],
    [2, failed],
    [4, { kind: 'trial-began' }],
  )
  expect(standing(play(second, [5, { kind: 'trial-ended', of: 1 }]), 5)).toBe('last-resort')
  expect(standing(play(second, [5, { kind: 'trial-ended', of: 2 }]), 5)).toBe('trial')
})

test('H7 whatever happens meanwhile, no two requests try it at once', () => {
  const meanwhile = fc.constantFrom<HealthEvent>(
    up,
    answered,
    failed,
    lost,
    { kind: 'probe-failed', why: 'no answer' },
    { kind: 'outlier', why: 'slow' },
    { ...failed, as: 'last-resort' },
    { kind: 'probe-loading' },
  )
  const step = fc.record({
    what: fc.oneof(fc.constantFrom('ask', 'ask', 'end', 'fail', 'throw'), meanwhile),
    wait: fc.nat(3_000),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), steps => {
      let health = ejected
      let now = instant(0)
      /** Under way, and whether they count: those of an ejection that an answer ended meanwhile are plain requests. */
      let trials: { of: number; counts: boolean }[] = []
      const note = (event: HealthEvent): void => {
        health = stepHealth(health, event, now)
      }
      for (const { what, wait } of steps) {
        now = instant(now + wait)
        if (typeof what !== 'string') note(what)
        else if (what === 'throw') for (const event of [failed, failed, failed]) note(event)
        else if (what === 'ask' && standingOf(health, now) === 'trial') {
          trials.push({ of: health.ejections, counts: true })
          note({ kind: 'trial-began' })
        } else if (what !== 'ask') {
          const ended = trials.shift()
          if (ended === undefined) continue
          if (what === 'fail') note(trialFailed)
          note({ kind: 'trial-ended', of: ended.of })
        }
        if (health.ejection === null) trials = trials.map(({ of }) => ({ of, counts: false }))
        expect(trials.filter(({ counts }) => counts).length).toBeLessThanOrEqual(1)
      }
    }),
    { numRuns: 500 },
  )
})

test('H8 what it held when it was ejected, and fails later, makes the ejection no longer', () => {
  const late = play(ejected, ...Array.from({ length: 60 }, (): [number, HealthEvent] => [0.5, failed]))
  expect(standing(late, 1)).toBe('trial')
  expect(late.ejections).toBe(1)
})

test('H9 one that goes down for the third time within a minute of coming up is ejected', () => {
  const twice = play(unknownHealth, [0, up], [10, lost], [11, up], [20, lost], [21, up])
  expect(standing(twice, 21)).toBe('usable')
  expect(standing(play(twice, [30, lost], [30.5, up]), 30.5)).toBe('last-resort')
  const settled = play(twice, [90, lost], [91, up], [95, lost], [96, up])
  expect(standing(settled, 96)).toBe('usable')
})

test('H9 many connections lost at once are one fall', () => {
  expect(standing(play(after(up), [1, lost], [1, lost], [1, lost], [1, lost], [2, up]), 2)).toBe('usable')
})

test('H10 ejections are forgotten after five minutes without one', () => {
  const back = play(ejected, [2, { ...answered, as: 'trial' }])
  const three = (seconds: number): [number, HealthEvent][] => [failed, failed, failed].map(event => [seconds, event])
  expect(standing(play(back, ...three(60)), 61.5)).toBe('last-resort')
  expect(standing(play(back, ...three(303)), 304)).toBe('trial')
})

test('H11 an ejected one that is up is a last resort, one that is down is out', () => {
  expect(standing(ejected, 0.5)).toBe('last-resort')
  expect(standing(play(ejected, [0.5, { kind: 'probe-failed', why: 'ECONNREFUSED' }]), 0.6)).toBe('out')
})

test('H12 a clock that is set back keeps nobody out', () => {
  expect(standing(stepHealth(ejected, up, instant(-3_600_000)), -3_600)).toBe('trial')
  expect(usableFor(after(up), instant(-5))).toBe(0)
})

test('an outlier is ejected, and the reason is kept while it is', () => {
  const slow = play(after(up), [1, { kind: 'outlier', why: 'much slower than its peers' }], [1.5, up])
  expect(standing(slow, 1.9)).toBe('last-resort')
  expect(slow.why).toBe('much slower than its peers')
})

test('usable time starts when it comes up, and again after an ejection', () => {
  const health = play(unknownHealth, [10, up], [12, up])
  expect(usableFor(health, instant(15_000))).toBe(5_000)
  expect(usableFor(ejected, instant(15_000))).toBe(0)
  expect(usableFor(play(ejected, [3, { ...answered, as: 'trial' }]), instant(4_000))).toBe(1_000)
})
