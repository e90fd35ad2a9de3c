/** One whole release over simulated traffic: assignment, evidence and machine as they run in the service, with a seed instead of chance. */
import { seededRandom } from '../../src/domain/evaluation/statistics/index.ts'
import {
  armOf,
  baselineFrom,
  beginRelease,
  isOverFor,
  openEvidence,
  realityOf,
  step,
  takeIn,
  type Arm,
  type Evidence,
  type Phase,
  type Policy,
  type Release,
} from '../../src/domain/release/index.ts'
import { instant, modelName, releaseId, versionName } from '../../src/domain/units.ts'

/** How one version behaves. */
export type Behaviour = {
  /** Chance that a request fails, over all units. */
  errors: number
  /** Times are these many times the usual ones. */
  slower: number
}

export type Traffic = {
  seed: number
  policy: Policy
  live: Behaviour
  candidate: Behaviour
  /** Requests of clients, in all. */
  requests: number
  /** On average, of one conversation. */
  perUnit: number
  /** Failures sit in this part of the units (1: in all alike). */
  unlucky?: number
  everyMs?: number
  lookEvery?: number
  /** Of the requests that should go to the candidate, the part that the live version answers: a leak. */
  leak?: number
}

export type Outcome = {
  phase: Phase
  /** Where it was when it ended, or when the traffic did. */
  place: string
  requests: number
  candidateRequests: number
  why: string
  release: Release
  evidence: Evidence
  /** The share at each decision, in order. */
  shares: number[]
}

const model = modelName('coder')
const strata = [
  { name: 'stream, up to 256', usualMs: 200 },
  { name: 'stream, up to 4096', usualMs: 900 },
]
const ready = { state: 'ready', why: '' } as const
const by = { who: 'admin', alias: 'simulation', reason: 'simulation' } as const

export function simulateRelease(traffic: Traffic): Outcome {
  const { seed, policy, requests, everyMs = 100, lookEvery = 50 } = traffic
  const random = seededRandom(seed)
  const clients = openClients(traffic, random)
  const baseline = baselineFrom(
    Array.from({ length: 2000 }, () => clients.ask('live')),
    instant(0),
  )
  const evidence = openEvidence(policy)
  const [from, to] = [versionName('v1'), versionName('v2')]
  const origin = { kind: 'command' } as const
  const given = { id: releaseId(`r${seed}`), model, from, to, policy, origin, by, same: false, salt: `salt ${seed}` }
  let release = beginRelease({ ...given, now: instant(0) })
  let [at, candidateRequests] = [0, 0]
  const shares: number[] = []
  const look = () => {
    const now = instant(at * everyMs)
    const seen = { candidate: ready, live: ready, idle: true, baseline }
    const stepped = step(release, { kind: 'look', now, evidence, ...seen })
    release = stepped.next
    if (stepped.decision !== null) shares.push(stepped.decision.share)
  }
  look()
  for (at = 1; at <= requests && !isOverFor(release) && release.phase !== 'held'; at++) {
    const { share, step: stepAt } = realityOf(release)
    const unit = clients.next()
    const arm = armOf({ salt: release.salt, share }, unit)
    const answeredBy = arm === 'candidate' && random() < (traffic.leak ?? 0) ? 'live' : arm
    candidateRequests += Number(answeredBy === 'candidate')
    const served = clients.ask(answeredBy)
    takeIn(
      evidence,
      {
        ...{ kind: 'request', seq: at, at: instant(at * everyMs), step: stepAt, arm: answeredBy, unit },
        ...{ cancelled: false, ...served },
      },
      release.baseline,
    )
    if (at % lookEvery === 0) look()
  }
  const { phase, heldIn, step: stepAt, why } = release
  const place = `${heldIn ?? phase}${stepAt > 0 ? ` ${stepAt}` : ''}`
  return { phase, place, requests: at - 1, candidateRequests, why, release, evidence, shares }
}

/** Conversations come and go; some hundred are under way at once. Whether a unit is unlucky is its own for good, with any version. */
function openClients({ perUnit, unlucky = 1, live, candidate }: Traffic, random: () => number) {
  let made = 0
  const open = () => ({ unit: `unit ${made++}`, isUnlucky: random() < unlucky })
  const underWay = Array.from({ length: 200 }, open)
  let asking = underWay[0] ?? open()
  return {
    next(): string {
      const place = Math.floor(random() * underWay.length)
      if (random() < 1 / perUnit) underWay[place] = open()
      asking = underWay[place] ?? open()
      return asking.unit
    },
    ask(arm: Arm) {
      const { errors, slower } = arm === 'live' ? live : candidate
      const stratum = strata[random() < 0.7 ? 0 : 1] ?? { name: 'other', usualMs: 100 }
      const failed = asking.isUnlucky && random() < errors / unlucky
      const took = () => stratum.usualMs * slower * (0.3 - Math.log(1 - random()))
      return {
        failed,
        stratum: stratum.name,
        firstTokenMs: failed ? null : took(),
        perTokenMs: failed ? null : took() / 10,
      }
    },
  }
}
