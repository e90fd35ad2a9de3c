import { describe, expect, test } from 'vitest'
import { judgeLoss, scoreToken, type WindowScore } from './perplexity.ts'
import { seededRandom } from './statistics/index.ts'

/** Logits that give these chances, shifted: a shift changes no chance. */
const logits = (chances: number[], shift = 0) => Float32Array.from(chances, chance => Math.log(chance) + shift)

describe('one token', () => {
  test('P1 costs minus the logarithm of its chance, whatever the logits are shifted by', () => {
    const scored = scoreToken(logits([0.5, 0.25, 0.25], 40), logits([0.2, 0.7, 0.1], -7), 1)
    expect(scored.reference).toBeCloseTo(-Math.log(0.25), 5)
    expect(scored.other).toBeCloseTo(-Math.log(0.7), 5)
  })

  test('P2 the divergence is from the reference, over all tokens', () => {
    const [p, q] = [
      [0.5, 0.25, 0.25],
      [0.2, 0.7, 0.1],
    ] as const
    const expected = p.reduce((sum, chance, at) => sum + chance * Math.log(chance / (q[at] ?? 0)), 0)
    const scored = scoreToken(logits([...p]), logits([...q]), 0)
    expect(scored.divergence).toBeCloseTo(expected, 5)
    expect(scored.sameTop).toBe(false)
  })

  test('P3 two that are the same differ by nothing at all', () => {
    const some = Float32Array.from({ length: 997 }, (_, i) => 9 * Math.sin(i))
    const scored = scoreToken(some, some.slice(), 3)
    expect(scored).toMatchObject({ divergence: 0, sameTop: true })
    expect(scored.other - scored.reference).toBe(0)
  })

  test('P2 what neither model lets come adds nothing', () => {
    const scored = scoreToken(logits([0.5, 0.5, 0]), logits([0.4, 0.6, 0]), 0)
    expect(scored.divergence).toBeCloseTo(0.5 * Math.log(0.5 / 0.4) + 0.5 * Math.log(0.5 / 0.6), 5)
  })
})

/** Windows of four tokens whose mean difference is told. */
const windows = (differences: readonly number[]): WindowScore[] =>
  differences.map(difference => ({
    ...{ reference: 4 * 2, other: 4 * (2 + difference), sameTop: 3 },
    divergences: Float64Array.of(0.1, 0.2, 0.3, 0.4),
  }))

describe('a comparison', () => {
  test('P4 perplexity is e to the mean, and the loss is the ratio less one', () => {
    const { perplexity, loss, tokens, sameTop, divergence } = judgeLoss(windows([0.02, 0.04, 0.03]))
    expect(perplexity.reference).toBeCloseTo(Math.exp(2), 10)
    expect(perplexity.other / perplexity.reference - 1).toBeCloseTo(loss.mean, 10)
    expect(loss.mean).toBeCloseTo(Math.exp(0.03) - 1, 10)
    expect([tokens, sameTop]).toEqual([12, 0.75])
    expect(divergence).toMatchObject({ mean: 0.25, largest: 0.4 })
  })

  test('P5 its interval is Student’s over windows: mean ± t · sd / √n', () => {
    const { difference } = judgeLoss(windows([0.02, 0.04, 0.03]))
    // sd 0.01, n 3, t of 2 degrees of freedom 4.30265.
    expect(difference.upper - difference.mean).toBeCloseTo((4.30265 * 0.01) / Math.sqrt(3), 6)
    expect(difference.mean - difference.lower).toBeCloseTo((4.30265 * 0.01) / Math.sqrt(3), 6)
  })

  test('P3 the same against itself is 0, from 0 to 0', () => {
    expect(judgeLoss(windows([0, 0, 0, 0])).loss).toEqual({ mean: 0, lower: 0, upper: 0 })
  })

  test('P6 one window tells nothing of the next', () => {
    const { loss, windowsForOnePercent } = judgeLoss(windows([0.02]))
    expect(loss.mean).toBeCloseTo(Math.expm1(0.02), 10)
    expect([loss.lower, loss.upper, windowsForOnePercent]).toEqual([Number.NaN, Number.NaN, null])
  })

  test('P7 intervals of 95 % hold the truth 95 times in a hundred, also where neighbours are alike', () => {
    const random = seededRandom(7)
    const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    const covered = (dependence: number): number => {
      let held = 0
      for (let run = 0; run < 400; run++) {
        let state = normal()
        const differences = Array.from({ length: 100 }, () => {
          state = dependence * state + Math.sqrt(1 - dependence ** 2) * normal()
          return 0.03 + 0.02 * state
        })
        const { difference } = judgeLoss(windows(differences))
        held += Number(difference.lower <= 0.03 && 0.03 <= difference.upper)
      }
      return held / 400
    }
    expect(covered(0)).toBeGreaterThan(0.93)
    // Windows taken as independent would hold it in 79 of a hundred here.
    expect(covered(0.4)).toBeGreaterThan(0.9)
  })

  test('P8 it tells how many windows would show a loss of one percent', () => {
    const random = seededRandom(3)
    const few = judgeLoss(windows(Array.from({ length: 12 }, () => 0.01 + 0.04 * (random() - 0.5))))
    const sd = few.difference.se * Math.sqrt(12)
    expect(few.windowsForOnePercent).toBe(Math.ceil(((1.644854 + 0.841621) * (sd / Math.log(1.01))) ** 2))
  })
})
