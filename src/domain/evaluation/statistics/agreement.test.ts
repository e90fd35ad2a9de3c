/** Agreement: what tables of two raters tell, and how surely. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ac1, agreement, agreementInterval, kappa, seededRandom, spearman } from './index.ts'

const measures = [agreement, kappa, ac1]

test('S19 raters who always agree have 1, and changing them over changes nothing', () => {
  const cell = fc.integer({ min: 0, max: 40 })
  const table = fc.array(fc.array(cell, { minLength: 3, maxLength: 3 }), { minLength: 3, maxLength: 3 })
  fc.assert(
    fc.property(table, rows => {
      const turned = rows.map((_, i) => rows.map(row => row[i] ?? 0))
      for (const measure of measures) {
        const [one, other] = [measure(rows), measure(turned)]
        if (Number.isNaN(one)) expect(other).toBeNaN()
        else expect(other).toBeCloseTo(one, 12)
        if (!Number.isNaN(one)) expect(one).toBeLessThanOrEqual(1 + 1e-12)
      }
    }),
  )
  for (const measure of measures)
    expect(
      measure([
        [7, 0],
        [0, 9],
      ]),
    ).toBe(1)
})

test('S19 κ collapses when nearly all is of one class, AC1 does not', () => {
  const table = [
    [118, 5],
    [2, 0],
  ]
  expect(agreement(table)).toBeGreaterThan(0.9)
  expect(kappa(table)).toBeLessThan(0.1)
  expect(ac1(table)).toBeGreaterThan(0.9)
})

test('S19 what has no meaning is NaN: no items, or nothing but one class', () => {
  for (const measure of measures)
    expect(
      measure([
        [0, 0],
        [0, 0],
      ]),
    ).toBeNaN()
  expect(
    kappa([
      [9, 0],
      [0, 0],
    ]),
  ).toBeNaN()
  expect(
    agreement([
      [9, 0],
      [0, 0],
    ]),
  ).toBe(1)
  expect(
    ac1([
      [9, 0],
      [0, 0],
    ]),
  ).toBe(1)
})

test('S20 a seed gives the same interval again, and it is as wide as theory says', () => {
  const table = [
    [700, 120],
    [180, 1000],
  ]
  const once = agreementInterval(table, agreement, { random: seededRandom(3) })
  expect(agreementInterval(table, agreement, { random: seededRandom(3) })).toEqual(once)
  expect(agreementInterval(table, agreement, { random: seededRandom(4) })).not.toEqual(once)
  // Normal theory for a share of 1,700 in 2,000; 90 % in place of 95 % would be off by 0.0025.
  const half = 1.96 * Math.sqrt((0.85 * 0.15) / 2000)
  expect(Math.abs(once[0] - (0.85 - half))).toBeLessThan(0.0012)
  expect(Math.abs(once[1] - (0.85 + half))).toBeLessThan(0.0012)
  const [low, high] = agreementInterval(table, kappa, { random: seededRandom(3), resamples: 200, confidence: 0.8 })
  expect(low).toBeLessThan(kappa(table))
  expect(high).toBeGreaterThan(kappa(table))
})

test('S20 S24 no items, or a measure that mostly means nothing, have no interval', () => {
  const none = agreementInterval(
    [
      [0, 0],
      [0, 0],
    ],
    agreement,
    { random: seededRandom(1) },
  )
  expect(none).toEqual([Number.NaN, Number.NaN])
  expect(
    agreementInterval(
      [
        [9, 0],
        [0, 0],
      ],
      kappa,
      { random: seededRandom(1) },
    ),
  ).toEqual([Number.NaN, Number.NaN])
})

test('S21 only order counts; a constant series has no order', () => {
  const xs = [5, 1, 4, 4, 9, 7]
  const ys = [2, 0, 3, 1, 8, 8]
  expect(
    spearman(
      xs.map(x => x ** 3),
      ys,
    ),
  ).toBe(spearman(xs, ys))
  expect(
    spearman(
      xs,
      xs.map(x => -x),
    ),
  ).toBeCloseTo(-1, 14)
  expect(
    spearman(
      xs,
      xs.map(() => 3),
    ),
  ).toBeNaN()
  expect(spearman([1], [2])).toBeNaN()
  expect(spearman([1, 2, 3], [1, 2])).toBeNaN()
})

test('S20 chance is even, in order and in pairs', () => {
  const random = seededRandom(20)
  const cells = Array.from({ length: 100 }, () => 0)
  const draws = 100_000
  for (let draw = 0; draw < draws; draw++) {
    const cell = Math.floor(random() * 10) * 10 + Math.floor(random() * 10)
    cells[cell] = (cells[cell] ?? 0) + 1
  }
  const expected = draws / cells.length
  const distance = cells.reduce((sum, seen) => sum + (seen - expected) ** 2 / expected, 0)
  // The χ² of 99 degrees of freedom is below 149 in all but one in a thousand, and above 61.
  expect(distance).toBeLessThan(149)
  expect(distance).toBeGreaterThan(61)
  expect(seededRandom(1)()).not.toBe(seededRandom(2)())
  expect(seededRandom(2 ** 32 + 1)()).not.toBe(seededRandom(1)())
})
