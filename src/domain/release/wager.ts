/** The evidence of one gate on counts: the comparison with the live version and, at full traffic, with the baseline. Rules: E9–E14 in SPEC.md. */
import {
  logECounts,
  logEMismatch,
  logENotWorse,
  logEWithin,
  logEWorse,
  neededUnits,
  wilson,
  type CountStep,
} from '../evaluation/statistics/index.ts'
import type { Answered, Evidence, StepEvidence, Tally } from './evidence.ts'
import { alphas, limits } from './limits.ts'
import { isCompared, weightsOf } from './plan.ts'
import type { Baseline, Policy } from './release.ts'
import { strataOf, type Latency } from './slow.ts'

/** What is asked of counts; everything in it was fixed before the first of them. */
export type Question = {
  policy: Policy
  steps: CountStep[]
  /** How many times the live version's rate is allowed. */
  ratio: number
  /** What an absolute difference is allowed; `null`: only the ratio. */
  margin: number | null
  /** `null`: nothing is known of how it was before. */
  alone: Alone | null
}

/** Against the baseline: the rate above which the candidate is worse, and the one below which it is not. */
type Alone = {
  worseThan: number
  below: number
  /** Of the candidate at full traffic, by stratum. */
  tallies: Tally[]
  answered: Answered
}

export function askErrors(policy: Policy, evidence: Evidence, baseline: Baseline | null): Question {
  const margin = policy.gates.errors?.margin ?? 0
  const { errorRate = 0, requests = 0 } = baseline ?? {}
  const base = Math.max(errorRate, limits.leastErrorRate)
  const [, most] = wilson(Math.round(errorRate * requests), requests, limits.baselineZ)
  return {
    policy,
    steps: comparedSteps(policy, evidence, step => [step.errors]),
    ratio: (base + margin) / base,
    margin: margin > 0 && margin < 1 ? margin : null,
    alone: {
      worseThan: most + margin,
      below: errorRate + margin,
      tallies: fullSteps(policy, evidence).map(step => step.errors),
      answered: evidence.answered.errors,
    },
  }
}

/** Of the live version's requests, 5 % are slow by definition. */
const slowShare = 0.05

export function askLatency(
  policy: Policy,
  evidence: Evidence,
  { latency, baseline }: { latency: Latency; baseline: Baseline | null },
): Question {
  const ratio = policy.gates[latency]?.ratio ?? 1
  const { tested } = strataOf(baseline, latency)
  const tallies = (step: StepEvidence): Tally[] => tested.map(name => step.slow[latency][name] ?? none)
  // The bound of the smallest stratum is the least certain one: all are judged by it.
  const fewest = Math.min(...tested.map(name => baseline?.slow[name]?.requests ?? 0))
  const [, most] = wilson(Math.round(slowShare * fewest), fewest, limits.baselineZ)
  return {
    policy,
    steps: comparedSteps(policy, evidence, tallies),
    ratio,
    margin: null,
    alone: {
      worseThan: most * ratio,
      below: slowShare * ratio,
      tallies: fullSteps(policy, evidence).flatMap(tallies),
      answered: evidence.answered[latency],
    },
  }
}

export function askFeedback(policy: Policy, evidence: Evidence): Question {
  const ratio = policy.gates.feedback?.ratio ?? 1
  return { policy, steps: comparedSteps(policy, evidence, step => [step.feedback]), ratio, margin: null, alone: null }
}

/** ln of the evidence that the candidate is worse than allowed. */
export function logWorse({ policy, steps, ratio, alone }: Question): number {
  const compared = logEWorse(steps, { ratio })
  if (alone === null) return compared
  const part = isCompared(policy) ? limits.compared : 0
  return logMix(part, compared, logWorseAlone(alone))
}

/** ln of the evidence that it is no worse than allowed. */
export function logNotWorse(question: Question): number {
  const { policy, alone, steps } = question
  if (alone === null) return logNotWorseCompared(question, steps)
  if (!isCompared(policy)) return logNotWorseAlone(alone.answered, alone.below)
  return logMix(0.5, logNotWorseCompared(question, steps), logNotWorseAlone(alone.answered, alone.below))
}

/** How many requests more of its model, until it is shown to be no worse; `null`: never, as it looks. */
export function neededRequests(question: Question, share: number): number | null {
  const { alone, policy } = question
  const goal = alphas.promote / (alone !== null && isCompared(policy) ? 2 : 1)
  const ways = [
    neededUnits(question.steps, steps => logNotWorseCompared(question, steps), goal),
    alone === null ? null : neededAlone(alone, share, goal),
  ].filter(way => way !== null)
  return ways.length === 0 ? null : Math.min(...ways)
}

/** ln of the evidence, in the step where it is strongest, that the arms did not get their parts of the units. */
export function logMismatch(policy: Policy, evidence: Evidence): number {
  // Units come back in the next step, so that steps are not independent: each is judged alone.
  return Math.max(0, ...comparedSteps(policy, evidence, () => []).map(step => logEMismatch(step.units, step.share)))
}

function logNotWorseCompared({ margin, ratio }: Question, steps: readonly CountStep[]): number {
  return margin === null ? logENotWorse(steps, { ratio }) : logEWithin(steps, { margin })
}

/** Trials are requests of units that had no event before: those are at most as likely to have one as the live version's were. */
function logWorseAlone({ worseThan, tallies }: Alone): number {
  if (!(worseThan < 1)) return 0
  return tallies.reduce(
    (sum, { candidate, atRisk }) => sum + logECounts({ candidate, live: Math.max(0, atRisk - candidate) }, worseThan),
    0,
  )
}

/** A trial is a unit: that it has an event at all is at least as likely as that one request has. */
function logNotWorseAlone({ units, hit }: Answered, below: number): number {
  if (!(below < 1)) return 0
  return logECounts({ candidate: units - hit, live: hit }, 1 - below)
}

const mostNeeded = 10_000_000

function neededAlone({ answered, below }: Alone, share: number, goal: number): number | null {
  const { units, hit } = answered
  if (units === 0 || share === 0) return null
  const isEnough = (more: number): boolean =>
    logNotWorseAlone({ units: units + more, hit: hit + (more * hit) / units }, below) >= Math.log(1 / goal)
  if (isEnough(0)) return 0
  let enough = 1
  while (enough <= mostNeeded && !isEnough(enough)) enough *= 2
  if (enough > mostNeeded) return null
  let few = Math.floor(enough / 2)
  while (enough - few > 1) {
    const middle = Math.floor((few + enough) / 2)
    if (isEnough(middle)) enough = middle
    else few = middle
  }
  return Math.ceil(enough / share)
}

function comparedSteps(
  policy: Policy,
  evidence: Evidence,
  strata: (step: StepEvidence) => readonly Tally[],
): CountStep[] {
  return weightsOf(policy).flatMap((share, index) => {
    const step = evidence.steps.get(index + 1)
    if (share >= 1 || step === undefined) return []
    return [{ share, units: step.units, strata: strata(step).map(({ candidate, live }) => ({ candidate, live })) }]
  })
}

function fullSteps(policy: Policy, evidence: Evidence): StepEvidence[] {
  return weightsOf(policy).flatMap((share, index) => {
    const step = evidence.steps.get(index + 1)
    return share >= 1 && step !== undefined ? [step] : []
  })
}

/** ln of what a wager is worth that was split between two. */
function logMix(part: number, first: number, second: number): number {
  if (part <= 0) return second
  if (part >= 1) return first
  const most = Math.max(first, second)
  return most + Math.log(part * Math.exp(first - most) + (1 - part) * Math.exp(second - most))
}

const none: Tally = { candidate: 0, live: 0, atRisk: 0 }
