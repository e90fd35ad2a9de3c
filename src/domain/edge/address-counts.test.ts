import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toSubscriber } from '../access/index.ts'
import { openAddressCounts } from './address-counts.ts'

test('D7 an IPv4 address is somebody, however it is spelled, and so is an IPv6 /64', () => {
  expect(toSubscriber('203.0.113.9')).toBe('203.0.113.9')
  expect(toSubscriber('::ffff:203.0.113.9')).toBe('203.0.113.9')
  expect(toSubscriber('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64')
  expect(toSubscriber('2001:db8:1:2::')).toBe('2001:db8:1:2::/64')
  expect(toSubscriber('2001:DB8:1:3::1')).toBe('2001:db8:1:3::/64')
  expect(toSubscriber('fe80::1%eth0')).toBe('fe80:0:0:0::/64')
})

test('D8 no 60 seconds let in more than the limit, and a refused request does not count', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.integer({ min: 0, max: 9_000 }), { maxLength: 200 }),
      (limit, gaps) => {
        const counts = openAddressCounts()
        const taken: number[] = []
        let now = 1_000
        for (const gap of gaps) {
          now += gap
          const wait = counts.take('a', limit, now)
          if (wait === null) taken.push(now)
          else expect(taken.filter(at => at > now - 61_000)).toHaveLength(limit)
          expect(taken.filter(at => at > now - 60_000).length).toBeLessThanOrEqual(limit)
        }
      },
    ),
  )
})

test('D8 whoever waits as long as it is told is let in', () => {
  const counts = openAddressCounts()
  let now = 5_250
  for (let i = 0; i < 3; i += 1) expect(counts.take('a', 3, now + i * 700)).toBeNull()
  now += 2_100
  const wait = counts.take('a', 3, now) ?? expect.fail('it was let in')
  expect(counts.take('a', 3, now + wait - 1)).not.toBeNull()
  expect(counts.take('b', 3, now)).toBeNull()
  expect(counts.take('a', 3, now + wait)).toBeNull()
})

test('D10 memory is bounded, and whoever comes often is not forgotten for it', () => {
  const counts = openAddressCounts(1_000)
  let letIn = 0
  for (let i = 0; i < 100_000; i += 1) {
    if (i % 250 === 0 && counts.take('often', 5, 1_000) === null) letIn += 1
    counts.take(`address ${i}`, 5, 1_000)
  }
  expect(letIn).toBe(5)
  expect(counts.remembered).toBeLessThanOrEqual(1_000)
})

test('D10 those that have been quiet for a minute are forgotten as others come', () => {
  const counts = openAddressCounts()
  for (let i = 0; i < 1_000; i += 1) counts.take(`address ${i}`, 5, 1_000)
  for (const now of [70_000, 140_000]) counts.take('another', 5_000, now)
  expect(counts.remembered).toBeLessThanOrEqual(2)
})
