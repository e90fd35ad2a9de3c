/** Differences between two versions on the same cases: their mean, and how sure it is when cases come in clusters. */
import { momentsOf, varianceOf } from './moments.ts'
import { normalQuantile } from './normal.ts'

/** `d` is the candidate's score less the live version's; `cluster` what cases have in common (a topic, a document), its own id where nothing. */
export type PairedRow = { d: number; cluster: string }

/** `deff` is how many times the variance clustering makes of it: (clusteredSe / se)². */
export type PairedDifference = { n: number; mean: number; se: number; clusteredSe: number; deff: number }

/**
 * Mean difference and its standard errors. Naive: sd/√n. Clustered: (1/n) √(Σ_c (Σ_{i∈c} (d_i − mean))²), times √(G/(G − 1)) for G
 * clusters, so that clusters of one give the naive one. Two to three times larger for real sets (Miller, «Adding error bars to evals», 2024).
 *
 * One cluster, or one case, tells nothing of the next: NaN. `deff` is NaN where nothing varies.
 */
export function pairedDifference(rows: readonly PairedRow[]): PairedDifference {
  const moments = momentsOf(rows.map(row => row.d))
  const { n, mean } = moments
  if (n === 0) return { n, mean: Number.NaN, se: Number.NaN, clusteredSe: Number.NaN, deff: Number.NaN }
  const residuals = new Map<string, number>()
  for (const { d, cluster } of rows) residuals.set(cluster, (residuals.get(cluster) ?? 0) + d - mean)
  const clusters = residuals.size
  const between = [...residuals.values()].reduce((sum, residual) => sum + residual * residual, 0)
  const se = Math.sqrt(varianceOf(moments) / n)
  const clusteredSe = clusters < 2 ? Number.NaN : Math.sqrt((between * clusters) / (clusters - 1)) / n
  return { n, mean, se, clusteredSe, deff: se > 0 ? (clusteredSe / se) ** 2 : Number.NaN }
}

/**
 * Whether a mean difference is shown to be above −margin: its one-sided lower bound is, at `confidence` (0.95 is usual). A bound that is NaN
 * passes nothing.
 */
export function nonInferior(of: { mean: number; se: number; margin: number; confidence: number }): {
  lower: number
  passes: boolean
} {
  const lower = of.mean - normalQuantile(of.confidence) * of.se
  return { lower, passes: lower > -of.margin }
}
