/** Evidence that a difference of rates stays within a margin, valid at every look: what is left to say when events are rare. */
import type { CountStep } from './steps.ts'

/**
 * ln of the evidence that the candidate's rate of events is less than the live one's plus `margin` (0.005: half a point in a hundred). H0 is
 * «at least `margin` more». Unlike a ratio it can be shown without a single event.
 *
 * Every unit scores y/ρ when it is the candidate's and −y/(1 − ρ) when it is the live version's, y being 1 for an event; drawn
 * with chance ρ, its mean is the difference of rates at that moment, whatever the rates themselves do. A bet of λ that the score stays
 * below the margin multiplies wealth by 1 + λ(margin − score), so that
 * E = mean over λ of (1 + λm)^(n − c − l) (1 − λ(1/ρ − m))^c (1 + λ(m + 1/(1 − ρ)))^l
 * needs counts alone. After Waudby-Smith & Ramdas, «Estimating means of bounded random variables by betting».
 *
 * Strata are pooled, steps add up. A step without two arms adds nothing; a margin outside (0, 1) gives NaN.
 */
export function logEWithin(steps: readonly CountStep[], { margin }: { margin: number }): number {
  if (!(margin > 0 && margin < 1)) return Number.NaN
  return steps.reduce((sum, step) => sum + logEOfStep(step, margin), 0)
}

/** Parts of the largest bet that cannot ruin: from nearly all (best without events) to a little (best when events are common). */
const stakes = [3 / 4, 1 / 4, 1 / 16, 1 / 64, 1 / 256]

function logEOfStep({ share, units, strata }: CountStep, margin: number): number {
  if (!(share > 0 && share < 1)) return 0
  const candidate = strata.reduce((sum, counts) => sum + counts.candidate, 0)
  const live = strata.reduce((sum, counts) => sum + counts.live, 0)
  const clean = units.candidate + units.live - candidate - live
  const worst = 1 / share - margin
  const logs = stakes.map(stake => {
    const bet = stake / worst
    return (
      clean * Math.log1p(bet * margin) +
      candidate * Math.log1p(-stake) +
      live * Math.log1p(bet * (margin + 1 / (1 - share)))
    )
  })
  const most = Math.max(...logs)
  return most + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - most), 0) / stakes.length)
}
