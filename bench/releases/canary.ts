/** Canaries of one share that never were: requests of known rates, split by chance, looked at again and again. */
import { logECounts } from '../../src/domain/evaluation/statistics/index.ts'
import { drawRequests } from './requests.ts'

export type CanaryCase = {
  title: string
  /** Chance of an event (an error, a slow first token) in each arm. */
  live: number
  candidate: number
  /** The candidate's part of requests. */
  share: number
  /** What the simulation that the defaults were chosen by found: per cent rolled back, and the median of requests until then. */
  chosenBy: { found: number; median: number | null } | null
}

/** One-sided, k = 10, α = 0.01. */
export const canaryCases: readonly CanaryCase[] = [
  { title: 'same, 1 %', live: 0.01, candidate: 0.01, share: 0.1, chosenBy: { found: 0.3, median: null } },
  { title: 'same, 2 %', live: 0.02, candidate: 0.02, share: 0.25, chosenBy: null },
  { title: '1 % → 3 %', live: 0.01, candidate: 0.03, share: 0.1, chosenBy: { found: 99.8, median: 4550 } },
  { title: '1 % → 2 %', live: 0.01, candidate: 0.02, share: 0.1, chosenBy: { found: 70, median: 10_875 } },
  { title: '1 % → 10 %', live: 0.01, candidate: 0.1, share: 0.05, chosenBy: { found: 100, median: 1100 } },
  { title: 'slow 5 % → 10 %', live: 0.05, candidate: 0.1, share: 0.1, chosenBy: { found: 100, median: 3150 } },
]

export const canaryAlpha = 0.01
const requests = 20_000
const lookEvery = 50

/** After how many requests the candidate is rolled back; null when all of them pass by. */
export function runCanary({ live, candidate, share }: CanaryCase, random: () => number): number | null {
  const goal = Math.log(1 / canaryAlpha)
  const drawn = { units: { candidate: 0, live: 0 }, events: { candidate: 0, live: 0 } }
  let lookedAt = 0
  for (let request = lookEvery; request <= requests; request += lookEvery) {
    drawRequests(drawn, lookEvery, { share, live, candidate, random })
    // Only the candidate's events raise the evidence (rule S4), so a look without a new one is saved.
    if (drawn.events.candidate === lookedAt) continue
    lookedAt = drawn.events.candidate
    if (logECounts(drawn.events, share) >= goal) return request
  }
  return null
}
