/** Gates: what the evidence of a release says now, each in numbers and in one sentence. Rules: R7–R16 in SPEC.md. */
import type { Instant } from '../units.ts'
import { millis } from '../units.ts'
import { errorsGate, feedbackGate, latencyGate, sampleRatio } from './count-gates.ts'
import type { Evidence } from './evidence.ts'
import { counted, lasting, number, percent } from './figures.ts'
import { plainGate, type Gate } from './gate.ts'
import { bakeOf, isOver } from './limits.ts'
import { hasTraffic, isCompared, placeIn, shareOf } from './plan.ts'
import type { GateReading, Release } from './release.ts'
import { shadowGate } from './shadow-gate.ts'

/** All that apply to this policy. Pure: the same release, evidence and moment give the same numbers, to the last bit. */
export function readGates(release: Release, evidence: Evidence, now: Instant): GateReading[] {
  return gatesOf(release, evidence, now).map(gate => gate.read())
}

export function gatesOf(release: Release, evidence: Evidence, now: Instant): Gate[] {
  const { gates, shadow, room } = release.policy
  return [
    ...smokeGate(release),
    ...goldenGate(release),
    ...(shadow !== null && room === 'beside' ? [shadowGate(release.policy, shadow, evidence.judged)] : []),
    hardStops(evidence),
    ...(gates.errors === null ? [] : [errorsGate(release, evidence)]),
    ...(gates.firstToken === null ? [] : [latencyGate(release, evidence, 'firstToken')]),
    ...(gates.perToken === null ? [] : [latencyGate(release, evidence, 'perToken')]),
    ...(gates.feedback === null ? [] : [feedbackGate(release, evidence)]),
    ...(isCompared(release.policy) ? [sampleRatio(release, evidence)] : []),
    ...(placeIn(release) === 'canary' ? [requestsGate(release, evidence)] : []),
    ...(hasTraffic(release) ? [timeGate(release, now)] : []),
  ]
}

function smokeGate({ policy, smoke }: Release): Gate[] {
  if (policy.smoke === null) return []
  if (smoke === null) return [plainGate('smoke', 'hold', { said: 'not run yet', isProof: true })]
  const failed = smoke.checks.filter(check => !check.passed)
  const said = smoke.passed
    ? `passed ${counted(smoke.checks.length, 'check')}`
    : `failed: ${failed.map(check => `${check.name} (${check.detail})`).join('; ') || 'no check was made'}`
  return [plainGate('smoke', smoke.passed ? 'promote' : 'rollback', { said, isProof: true })]
}

const goldenVerdicts = {
  'pass': 'promote',
  'fail': 'rollback',
  'inconclusive': 'hold',
  'judge-inadmissible': 'judge-inadmissible',
} as const

function goldenGate({ policy, golden }: Release): Gate[] {
  if (policy.golden === null) return []
  if (golden === null) return [plainGate('golden', 'hold', { said: 'not run yet', isProof: true })]
  const { cases, candidateScore, liveScore, smallestVisible, why, verdict } = golden
  const said =
    `${why} (${counted(cases, 'case')}: candidate ${measured(candidateScore)}, live ${measured(liveScore)}; ` +
    `the smallest loss that this set could see: ${measured(smallestVisible)})`
  return [plainGate('golden', goldenVerdicts[verdict], { said, isProof: true })]
}

const measured = (share: number | null): string => (share === null ? 'not measured' : percent(share))

function hardStops({ runs, judged }: Evidence): Gate {
  const stop = runs.stop ?? judged.runs.stop
  if (stop !== null) return plainGate('hard-stops', 'rollback', { said: stop })
  const said = `${number(runs.failed)} of the candidate's ${counted(runs.ended, 'request')} failed`
  return plainGate('hard-stops', 'promote', { said })
}

function requestsGate({ policy, step }: Release, evidence: Evidence): Gate {
  const wanted = policy.canary?.minRequests ?? 0
  const seen = evidence.steps.get(step)?.requests.candidate ?? 0
  const verdict = seen >= wanted ? 'promote' : 'hold'
  const said = `${number(seen)} of ${counted(wanted, 'request')} answered by the candidate in this step`
  const needed = verdict === 'hold' ? { needed: wanted - seen } : {}
  return {
    name: 'requests',
    verdict,
    isProof: false,
    read: () => ({ name: 'requests', verdict, ...needed, evidence: said }),
  }
}

function timeGate(release: Release, now: Instant): Gate {
  const { policy, since } = release
  const inBake = placeIn(release) === 'bake'
  const wanted = inBake ? bakeOf(policy) : (policy.canary?.minTime ?? millis(0))
  const where = inBake ? 'with all traffic' : `at ${percent(shareOf(release))}`
  const said = `${lasting(millis(Math.max(0, now - since)))} of ${lasting(wanted)} ${where}`
  return plainGate('time', isOver(since, wanted, now) ? 'promote' : 'hold', { said })
}
