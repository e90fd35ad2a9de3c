/** Canaries whose share grows, while rates change as they do over a day: what each kind of evidence finds, and what it must not. */
import {
  logECounts,
  logEMismatch,
  logENotWorse,
  logEWithin,
  logEWorse,
} from '../../src/domain/evaluation/statistics/index.ts'
import type { CountStep } from '../../src/domain/evaluation/statistics/index.ts'
import type { Found } from './found.ts'
import { drawRequests } from './requests.ts'

type Weights = readonly { share: number; requests: number }[]
type Rates = (part: number) => { live: number; candidate: number }

export type StepCase = {
  title: string
  weights: Weights
  /** Chances of an event when this part of all requests, in [0, 1), has passed. */
  rates: Rates
  /** The part of requests that really goes to the candidate, when it is not the one that is believed. */
  really?: number
  evidence: (steps: readonly CountStep[]) => number
  alpha: number
  /** Bounds of the share of runs in which the evidence ever suffices. */
  found: { atLeast?: number; atMost?: number }
}

const growing: Weights = [0.01, 0.05, 0.25, 0.5].map(share => ({ share, requests: 5000 }))
const half: Weights = [{ share: 0.5, requests: 20_000 }]
const tenth: Weights = [{ share: 0.1, requests: 20_000 }]
const few: Weights = [{ share: 0.1, requests: 300 }]

const worse = (steps: readonly CountStep[]) => logEWorse(steps, { ratio: 1 })
const notWorse = (steps: readonly CountStep[]) => logENotWorse(steps, { ratio: 1.5 })
const within = (steps: readonly CountStep[]) => logEWithin(steps, { margin: 0.005 })
const mismatch = (steps: readonly CountStep[]) =>
  steps.reduce((sum, step) => sum + logEMismatch(step.units, step.share), 0)

/** Rates that are at a fifth early and five times as high late, when the share is large: an engine has a bad hour. */
const wave = (part: number) => 0.006 * 5 ** -Math.sin(2 * Math.PI * part)
const waving =
  (times: number, more = 0): Rates =>
  part => ({ live: wave(part), candidate: wave(part) * times + more })
const steady =
  (live: number, candidate: number): Rates =>
  () => ({ live, candidate })

/** What one must not do: all counts as if they were of one share. */
const added = (steps: readonly CountStep[]) => {
  const sum = (of: (step: CountStep) => number) => steps.reduce((total, step) => total + of(step), 0)
  const candidate = sum(step => step.strata[0]?.candidate ?? 0)
  const live = sum(step => step.strata[0]?.live ?? 0)
  const units = sum(step => step.units.candidate)
  return logECounts({ candidate, live }, units / (units + sum(step => step.units.live)))
}

export const stepCases: readonly StepCase[] = [
  {
    title: 'worse: same, rates wave',
    weights: growing,
    rates: waving(1),
    evidence: worse,
    alpha: 0.01,
    found: { atMost: 0.01 },
  },
  {
    title: 'the same, shares added up (wrong)',
    weights: growing,
    rates: waving(1),
    evidence: added,
    alpha: 0.01,
    found: { atLeast: 0.9 },
  },
  {
    title: 'worse: 3 times, rates wave',
    weights: growing,
    rates: waving(3),
    evidence: worse,
    alpha: 0.01,
    found: { atLeast: 0.95 },
  },
  {
    title: 'worse from half way on',
    weights: growing,
    rates: part => ({ live: 0.01, candidate: part < 0.5 ? 0.01 : 0.03 }),
    evidence: worse,
    alpha: 0.01,
    found: { atLeast: 0.95 },
  },
  {
    title: 'mismatch: as believed',
    weights: growing,
    rates: steady(0, 0),
    evidence: mismatch,
    alpha: 0.001,
    found: { atMost: 0.001 },
  },
  {
    title: 'mismatch: 12 % for 10 %',
    weights: tenth,
    rates: steady(0, 0),
    really: 0.12,
    evidence: mismatch,
    alpha: 0.001,
    found: { atLeast: 0.95 },
  },
  {
    title: 'not worse: same, 2 %',
    weights: half,
    rates: steady(0.02, 0.02),
    evidence: notWorse,
    alpha: 0.05,
    found: { atLeast: 0.85 },
  },
  {
    title: 'not worse: 1.5 times, rates wave',
    weights: growing,
    rates: waving(1.5),
    evidence: notWorse,
    alpha: 0.05,
    found: { atMost: 0.05 },
  },
  {
    title: 'not worse: no events',
    weights: half,
    rates: steady(0, 0),
    evidence: notWorse,
    alpha: 0.05,
    found: { atMost: 0 },
  },
  {
    title: 'within 0.5 points: no events',
    weights: half,
    rates: steady(0, 0),
    evidence: within,
    alpha: 0.05,
    found: { atLeast: 1 },
  },
  {
    title: 'within 0.5 points: same, 1 %',
    weights: half,
    rates: steady(0.01, 0.01),
    evidence: within,
    alpha: 0.05,
    found: { atLeast: 0.6 },
  },
  {
    title: 'within 0.5 points: just not, rates wave',
    weights: growing,
    rates: waving(1, 0.005),
    evidence: within,
    alpha: 0.05,
    found: { atMost: 0.05 },
  },
  {
    title: 'within 0.5 points: 300 requests without events',
    weights: few,
    rates: steady(0, 0),
    evidence: within,
    alpha: 0.05,
    found: { atMost: 0 },
  },
]

const lookEvery = 100

/** After how many requests the evidence suffices; null when it never does. */
export function runSteps(one: StepCase, random: () => number): number | null {
  const goal = Math.log(1 / one.alpha)
  const all = one.weights.reduce((sum, { requests }) => sum + requests, 0)
  const done: CountStep[] = []
  let request = 0
  for (const { share, requests } of one.weights) {
    const drawn = { units: { candidate: 0, live: 0 }, events: { candidate: 0, live: 0 } }
    const step: CountStep = { share, units: drawn.units, strata: [drawn.events] }
    for (const end = request + requests; request < end;) {
      drawRequests(drawn, lookEvery, { ...one.rates(request / all), share: one.really ?? share, random })
      request += lookEvery
      if (one.evidence([...done, step]) >= goal) return request
    }
    done.push(step)
  }
  return null
}

/** Whether a share of runs lies where it must, give or take three standard errors of the bound. */
export function isWithinBounds(one: StepCase, { runs, ends }: Found): boolean {
  const share = ends.length / runs
  const { atLeast = 0, atMost = 1 } = one.found
  const slack = (bound: number) => 3 * Math.sqrt((bound * (1 - bound)) / runs)
  return share >= atLeast - slack(atLeast) && share <= atMost + slack(atMost)
}
