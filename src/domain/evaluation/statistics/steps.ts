/** Evidence over the steps of a canary: multiplied, never pooled, because each step has its own share. */
import { logECounts, logENonInferior } from './counts.ts'
import type { Counts } from './counts.ts'

/** What a step of the weights has seen. Plain numbers, so it may be stored. */
export type CountStep = {
  /** The candidate's part of eligible units, in (0, 1). */
  readonly share: number
  /** Requests, or units of assignment. */
  readonly units: Counts
  /** Events by stratum (prompt length, streaming), in the same order in all steps. One stratum where nothing divides. */
  readonly strata: readonly Counts[]
}

/** ln of the evidence that the candidate's rate is more than `ratio` times the live one's in some stratum; strata and steps add up. */
export function logEWorse(steps: readonly CountStep[], { ratio }: { ratio: number }): number {
  return sumOf(steps, step => sumOf(step.strata, counts => logECounts(counts, step.share, { ratio })))
}

/**
 * ln of the evidence that the candidate's rate over all strata is less than `ratio` times the live one's. Strata are pooled: the sum would let
 * a stratum that is much better speak for one that is worse. Steps add up.
 */
export function logENotWorse(steps: readonly CountStep[], { ratio }: { ratio: number }): number {
  return sumOf(steps, step => logENonInferior(pooled(step.strata), step.share, { ratio }))
}

/** The most units that are waited for: beyond it the answer is «never». */
const mostUnits = 10_000_000

/**
 * An estimate of how many units more, at the last step's share and the rates observed so far, until `evidence` of the steps reaches ln(1/α).
 * 0 when it has; null when it does not get there within ten million, and before any unit.
 */
export function neededUnits(
  steps: readonly CountStep[],
  evidence: (steps: readonly CountStep[]) => number,
  alpha: number,
): number | null {
  const goal = Math.log(1 / alpha)
  if (evidence(steps) >= goal) return 0
  const last = steps.at(-1)
  if (last === undefined) return null
  const grow = growerOf(steps, last)
  const isEnough = (more: number) => evidence([...steps.slice(0, -1), grow(more)]) >= goal
  let enough = 1
  while (enough <= mostUnits && !isEnough(enough)) enough *= 2
  if (enough > mostUnits) return null
  let few = Math.floor(enough / 2)
  while (enough - few > 1) {
    const middle = Math.floor((few + enough) / 2)
    if (isEnough(middle)) enough = middle
    else few = middle
  }
  return enough
}

/** The last step with more units, and with events at the rates of all steps together. */
function growerOf(steps: readonly CountStep[], last: CountStep): (more: number) => CountStep {
  const units = pooled(steps.map(step => step.units))
  const rates = last.strata.map((_, index) => {
    const events = pooled(steps.map(step => step.strata[index] ?? { candidate: 0, live: 0 }))
    return { candidate: rateOf(events.candidate, units.candidate), live: rateOf(events.live, units.live) }
  })
  return more => {
    const added = { candidate: more * last.share, live: more * (1 - last.share) }
    return {
      share: last.share,
      units: pooled([last.units, added]),
      strata: last.strata.map((counts, index) => ({
        candidate: counts.candidate + added.candidate * (rates[index]?.candidate ?? 0),
        live: counts.live + added.live * (rates[index]?.live ?? 0),
      })),
    }
  }
}

function rateOf(events: number, units: number): number {
  return units > 0 ? events / units : 0
}

function pooled(counts: readonly Counts[]): Counts {
  return { candidate: sumOf(counts, each => each.candidate), live: sumOf(counts, each => each.live) }
}

function sumOf<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((sum, value) => sum + of(value), 0)
}
