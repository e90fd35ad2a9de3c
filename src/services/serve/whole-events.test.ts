import fc from 'fast-check'
import { expect, test } from 'vitest'
import { wholeEvents } from './whole-events.ts'

test('however a stream is cut, its events come out whole, in order, and none twice', () => {
  const event = fc
    .tuple(fc.stringMatching(/^[a-z]{1,12}$/), fc.constantFrom('\n\n', '\r\n\r\n'))
    .map(([text, end]) => `${text}${end}`)
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 12 }),
      fc.string({ maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
      (events, rest, sizes) => {
        const bytes = Buffer.from(events.join('') + rest.replaceAll(/[\r\n]/g, ''))
        const eventsOf = wholeEvents()
        let out = ''
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = sizes[i % sizes.length] ?? 1
          const whole = eventsOf(bytes.subarray(at, at + size))
          if (whole !== null) expect(whole.toString()).toMatch(/(\n\n|\r\n\r\n)$/)
          out += whole?.toString() ?? ''
          at += size
        }
        expect(out).toBe(events.join(''))
      },
    ),
  )
})

test('events that end with the piece are not copied', () => {
  const piece = Buffer.from('data: 1\n\ndata: 2\n\n')
  expect(wholeEvents()(piece)).toBe(piece)
})

test('an event without an end is given up at 8 MiB, in time that grows with its length alone', () => {
  const eventsOf = wholeEvents()
  const piece = Buffer.alloc(1024, 'a')
  const startedMs = performance.now()
  expect(() => {
    for (let i = 0; i < 9 * 1024; i++) expect(eventsOf(piece)).toBeNull()
  }).toThrow(/longer than 8388608 bytes/)
  expect(performance.now() - startedMs).toBeLessThan(2_000)
})
