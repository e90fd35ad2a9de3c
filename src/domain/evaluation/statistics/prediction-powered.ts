/** A mean from many machine scores and few human ones: the humans correct what the machine gets wrong on average. */
import { momentsOf, varianceOf } from './moments.ts'
import { normalQuantile } from './normal.ts'

export type PredictionPowered = {
  /** The judge's scores of cases without a label. */
  judged: readonly number[]
  /** Cases that both scored. */
  labelled: readonly { judged: number; human: number }[]
  confidence: number
}

/**
 * θ = mean f(x) over the judged + mean (y − f(x)) over the labelled; Var = s²_f/N + s²_(y−f)/n; the interval is two-sided and normal.
 * Angelopoulos et al., arXiv 2301.09633. NaN below two of either.
 */
export function predictionPowered({ judged, labelled, confidence }: PredictionPowered): {
  mean: number
  se: number
  interval: readonly [number, number]
} {
  const scores = momentsOf(judged)
  const corrections = momentsOf(labelled.map(({ judged: score, human }) => human - score))
  const mean = scores.mean + corrections.mean
  const se = Math.sqrt(varianceOf(scores) / scores.n + varianceOf(corrections) / corrections.n)
  const half = normalQuantile(0.5 + confidence / 2) * se
  return { mean: Number.isNaN(se) ? Number.NaN : mean, se, interval: [mean - half, mean + half] }
}
