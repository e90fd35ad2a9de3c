/** Evidence from counts of events in two arms, valid at every look: beta-binomial e-values on where events come from. */
import { logBetaAboveToDensity, logBetaDensity } from './beta.ts'

/** Events (errors, slow first tokens, thumbs down) of each arm; of a unit of assignment, its first one alone. */
export type Counts = { candidate: number; live: number }

/**
 * How much the prior is worth, in events. Ten finds a doubled error rate soonest among those tried (docs/design/0021-statistics.md).
 */
const priorEvents = 10

/**
 * ln of the evidence that the candidate's rate of events is more than `ratio` times the live one's (1 unless given).
 *
 * `share` is the candidate's part of eligible requests (or of units), in (0, 1). If the candidate is no worse, an event comes
 * from it with a chance of at most ρ = share·ratio / (share·ratio + 1 − share), whatever the rate itself does over time; under
 * the beta mixture of all worse chances
 * ln E = [ln B(a + c, b + l) − ln B(a, b) − c ln ρ − l ln(1 − ρ)] + ln(1 − I_ρ(a + c, b + l)) − ln(1 − I_ρ(a, b)), a = kρ, b = k(1 − ρ).
 * Under H0 P(E ever ≥ 1/α) ≤ α. Lindon & Malek, arXiv 2011.03567.
 *
 * Without two arms to compare (share outside (0, 1)) it is 0: no evidence. NaN for negative counts.
 */
export function logECounts(counts: Counts, share: number, options: { k?: number; ratio?: number } = {}): number {
  const { k = priorEvents, ratio = 1 } = options
  const origin = originOf(share, ratio)
  if (origin === null) return 0
  return logEAbove(counts, origin, k)
}

/**
 * ln of the evidence that the candidate's rate of events is less than `ratio` times the live one's: H0 is «at least `ratio` times».
 * The mirror image of `logECounts`, and 0 or NaN where that is.
 */
export function logENonInferior({ candidate, live }: Counts, share: number, { ratio }: { ratio: number }): number {
  const origin = originOf(share, ratio)
  if (origin === null) return 0
  return logEAbove({ candidate: live, live: candidate }, 1 - origin, priorEvents)
}

/**
 * ln of the evidence that the arms did not get the parts of traffic they should have: the two-sided form over all units
 * assigned. At ln 1000 nothing else in the comparison means anything (sample ratio mismatch). 0 or NaN where `logECounts` is.
 */
export function logEMismatch({ candidate, live }: Counts, share: number): number {
  const x = originOf(share, 1)
  if (x === null) return 0
  if (!(candidate >= 0 && live >= 0)) return Number.NaN
  const a = priorEvents * x
  const b = priorEvents * (1 - x)
  return logBetaDensity({ a, b, x }) - logBetaDensity({ a: a + candidate, b: b + live, x })
}

/** Both beta functions of the formula are densities at ρ, and the powers of ρ cancel: what is left is two ratios of tail to density. */
function logEAbove({ candidate, live }: Counts, x: number, k: number): number {
  if (!(candidate >= 0 && live >= 0)) return Number.NaN
  const a = k * x
  const b = k * (1 - x)
  return logBetaAboveToDensity({ a: a + candidate, b: b + live, x }) - logBetaAboveToDensity({ a, b, x })
}

/** The chance that an event is the candidate's when its rate is `ratio` times the live one's; null without two arms. */
function originOf(share: number, ratio: number): number | null {
  const origin = (share * ratio) / (share * ratio + 1 - share)
  return origin > 0 && origin < 1 ? origin : null
}
