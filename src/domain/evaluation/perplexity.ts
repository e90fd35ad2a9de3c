/** What quantising costs: two models' chances of the same tokens, compared token by token and judged window by window. */
import { pairedDifference, sampleSize, studentQuantile } from './statistics/index.ts'

/** Of one token: minus the logarithm of the chance that each model gave it, how far apart their whole distributions are. */
export type TokenScore = {
  reference: number
  other: number
  /** Kullback–Leibler divergence of the other model from the reference, in nats. */
  divergence: number
  /** Both hold the same token for the likeliest. */
  sameTop: boolean
}

/** A window of text: tokens that were scored one after the other, so their scores depend on each other. */
export type WindowScore = {
  /** Sums over its tokens. */
  reference: number
  other: number
  sameTop: number
  /** One for each token. */
  divergences: Float64Array
}

/** Every interval is two-sided, 95 %; an end is NaN where nothing is known. */
export type Loss = {
  windows: number
  tokens: number
  perplexity: { reference: number; other: number }
  /** Of the mean negative log-likelihood of a token, other less reference: the logarithm of the ratio of perplexities. */
  difference: Estimate & { se: number }
  /** By how much perplexity grows: 0.018 is 1.8 %. */
  loss: Estimate
  divergence: Estimate & { p99: number; largest: number }
  sameTop: number
  /** Windows of such text that would show a loss of one percent; `null`: nothing is known of how it varies. */
  windowsForOnePercent: number | null
}
export type Estimate = { mean: number; lower: number; upper: number }

/**
 * Scores the token that came, from the logits of both models before it. In double precision: a logit has seven digits,
 * and differences of a thousandth are what is looked for.
 */
export function scoreToken(reference: Float32Array, other: Float32Array, token: number): TokenScore {
  const before = normalise(reference)
  const after = normalise(other)
  let divergence = 0
  for (let i = 0; i < reference.length; i++) {
    const log = (reference[i] ?? 0) - before.logOfSum
    // What can't come adds nothing; 0 × ∞ would be no number.
    if (log > -Infinity) divergence += Math.exp(log) * (log - ((other[i] ?? 0) - after.logOfSum))
  }
  return {
    reference: before.logOfSum - (reference[token] ?? Number.NaN),
    other: after.logOfSum - (other[token] ?? Number.NaN),
    // Rounding may leave a divergence of nothing a little below nothing.
    divergence: Math.max(0, divergence),
    sameTop: before.top === after.top,
  }
}

/** The paired comparison of all windows, each of the same number of tokens. */
export function judgeLoss(windows: readonly WindowScore[]): Loss {
  const each = windows[0]?.divergences.length ?? 0
  const tokens = windows.length * each
  const difference = estimate(windows.map(window => (window.other - window.reference) / each))
  const divergence = estimate(windows.map(window => window.divergences.reduce((sum, one) => sum + one, 0) / each))
  const divergences = Float64Array.from(windows.flatMap(window => [...window.divergences])).toSorted()
  const meanOf = (of: 'reference' | 'other' | 'sameTop') =>
    windows.reduce((sum, window) => sum + window[of], 0) / tokens
  return {
    windows: windows.length,
    tokens,
    perplexity: { reference: Math.exp(meanOf('reference')), other: Math.exp(meanOf('other')) },
    difference,
    loss: {
      mean: Math.expm1(difference.mean),
      lower: Math.expm1(difference.lower),
      upper: Math.expm1(difference.upper),
    },
    divergence: { ...divergence, p99: quantile(divergences, 0.99), largest: divergences.at(-1) ?? Number.NaN },
    sameTop: meanOf('sameTop'),
    windowsForOnePercent: Number.isFinite(difference.sd)
      ? sampleSize({ sd: difference.sd, difference: Math.log1p(0.01) })
      : null,
  }
}

/** Neighbours may be alike (one chapter, one author), so blocks of √n of them are tried as clusters, too: the larger error counts. */
function estimate(values: readonly number[]): Estimate & { se: number; sd: number } {
  const blocks = values.length < fewestForBlocks ? values.length : Math.round(Math.sqrt(values.length))
  const perBlock = values.length / blocks
  const rows = values.map((d, at) => ({ d, cluster: String(Math.floor(at / perBlock)) }))
  const { n, mean, se: plain, clusteredSe } = pairedDifference(rows)
  const isClustered = clusteredSe > plain
  const se = isClustered ? clusteredSe : plain
  const reach = se === 0 ? 0 : studentQuantile(0.975, (isClustered ? blocks : n) - 1) * se
  return { mean, lower: mean - reach, upper: mean + reach, se, sd: se * Math.sqrt(n) }
}

const fewestForBlocks = 16

function normalise(logits: Float32Array): { logOfSum: number; top: number } {
  let most = -Infinity
  let top = -1
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i] ?? -Infinity
    if (logit <= most) continue
    most = logit
    top = i
  }
  let sum = 0
  for (let i = 0; i < logits.length; i++) sum += Math.exp((logits[i] ?? -Infinity) - most)
  return { logOfSum: most + Math.log(sum), top }
}

/** Of sorted numbers, between the two nearest in proportion. */
function quantile(sorted: Float64Array, chance: number): number {
  const at = chance * (sorted.length - 1)
  const low = sorted[Math.floor(at)] ?? Number.NaN
  return low + ((sorted[Math.ceil(at)] ?? Number.NaN) - low) * (at - Math.floor(at))
}
