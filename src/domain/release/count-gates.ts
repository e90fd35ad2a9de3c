/** Gates on counts: errors, latencies, feedback, and whether the arms got their parts at all. */
import type { Evidence } from './evidence.ts'
import { counted, eValueOf, number, odds, percent } from './figures.ts'
import type { Gate } from './gate.ts'
import { alphaOf, alphas, limits } from './limits.ts'
import { isCompared, shareOf } from './plan.ts'
import type { GateReading, Release, Verdict } from './release.ts'
import { strataOf, type Latency } from './slow.ts'
import {
  askErrors,
  askFeedback,
  askLatency,
  logMismatch,
  logNotWorse,
  logWorse,
  neededRequests,
  type Question,
} from './wager.ts'

const full = ` Counting stopped: more units had events than are kept.`

export function errorsGate(release: Release, evidence: Evidence): Gate {
  const question = askErrors(release.policy, evidence, release.baseline)
  const allowed = `may fail ${percent(release.policy.gates.errors?.margin ?? 0)} more often`
  const said = () =>
    `${unitsWithEvent(
      totals(evidence, step => [step.errors]),
      evidence,
      'a failed request',
    )}; the candidate ${allowed}`
  return countGate('errors', question, { release, evidence, alpha: alphaOf(release.policy, 'errors'), said })
}

const names = { firstToken: 'first-token', perToken: 'per-token' } as const

export function latencyGate(release: Release, evidence: Evidence, latency: Latency): Gate {
  const { baseline, policy } = release
  const { tested, left } = strataOf(baseline, latency)
  const name = names[latency]
  if (tested.length === 0) {
    const said =
      baseline === null
        ? 'measured from the first traffic of the candidate on'
        : `what slow means is not known: in no kind of request had the live version ${limits.baselineRequests} before`
    return { name, verdict: 'hold', isProof: true, read: () => ({ name, verdict: 'hold', evidence: said }) }
  }
  const question = askLatency(policy, evidence, { latency, baseline })
  const counts = () =>
    totals(evidence, step => tested.map(stratum => step.slow[latency][stratum] ?? { candidate: 0, live: 0 }))
  const said = () =>
    `${unitsWithEvent(counts(), evidence, 'a slow request')} (slower than 95 % of the live version's before); ` +
    `the candidate may have ${policy.gates[latency]?.ratio ?? 1} times as many` +
    (left.length === 0 ? '' : `. Not tested, too few live requests before: ${left.join('; ')}`)
  return countGate(name, question, { release, evidence, alpha: alphaOf(policy, latency), said })
}

export function feedbackGate(release: Release, evidence: Evidence): Gate {
  const question = askFeedback(release.policy, evidence)
  const counts = () => totals(evidence, step => [step.feedback])
  const ratio = release.policy.gates.feedback?.ratio ?? 1
  const said = () =>
    `${unitsWithEvent(counts(), evidence, 'a thumb down')}; the candidate may have ${ratio} times as many` +
    (isCompared(release.policy) ? '' : '. Nothing to compare with: take a step below 100 %, or leave this gate out')
  return countGate('feedback', question, { release, evidence, alpha: alphaOf(release.policy, 'feedback'), said })
}

export function sampleRatio({ policy }: Release, evidence: Evidence): Gate {
  const logE = logMismatch(policy, evidence)
  const verdict: Verdict = logE >= Math.log(limits.mismatch) ? 'void' : 'promote'
  const name = 'sample-ratio'
  const read = (): GateReading => {
    const parts = [...evidence.steps].map(
      ([step, { units }]) => `step ${step}: ${number(units.candidate)} of ${number(units.candidate + units.live)}`,
    )
    const said = `units that met the candidate: ${parts.join(', ') || 'none yet'}`
    const leak = '. The arms did not get their parts, so that nothing can be compared: requests leak between them'
    return {
      ...{ name, verdict, eValue: eValueOf(logE), threshold: limits.mismatch },
      evidence: verdict === 'void' ? `${said}${leak}` : said,
    }
  }
  return { name, verdict, isProof: false, read }
}

type Asked = { release: Release; evidence: Evidence; alpha: number; said: () => string }

function countGate(name: string, question: Question, { release, evidence, alpha, said }: Asked): Gate {
  const [worse, notWorse] = [logWorse(question), logNotWorse(question)]
  const verdict = verdictOf({ worse, notWorse, alpha })
  const read = (): GateReading => {
    const needed = verdict === 'hold' ? neededRequests(question, shareOf(release)) : null
    const eValue = eValueOf(worse)
    const threshold = 1 / alpha
    const bet = `worse: ${odds(eValue)} of ${odds(threshold)}; not worse: ${odds(eValueOf(notWorse))} of ${odds(1 / alphas.promote)}`
    return {
      ...{ name, verdict, eValue, threshold },
      notWorse: { eValue: eValueOf(notWorse), threshold: 1 / alphas.promote },
      ...(needed === null ? {} : { needed }),
      evidence: `${said()}. Evidence, ${bet}.${evidence.isFull ? full : ''}`,
    }
  }
  return { name, verdict, isProof: true, read }
}

function verdictOf({ worse, notWorse, alpha }: { worse: number; notWorse: number; alpha: number }): Verdict {
  if (worse >= Math.log(1 / alpha)) return 'rollback'
  return notWorse >= Math.log(1 / alphas.promote) ? 'promote' : 'hold'
}

type Sums = { candidate: number; live: number }
type Steps = Evidence['steps'] extends Map<number, infer Step> ? Step : never

function totals({ steps }: Evidence, of: (step: Steps) => Sums[]): Sums {
  const all = [...steps.values()].flatMap(of)
  return {
    candidate: all.reduce((sum, each) => sum + each.candidate, 0),
    live: all.reduce((sum, each) => sum + each.live, 0),
  }
}

function unitsWithEvent({ candidate, live }: Sums, evidence: Evidence, what: string): string {
  const requests = totals(evidence, step => [step.requests])
  return (
    `units with ${what}: ${number(candidate)} in ${counted(requests.candidate, 'request')} of the candidate, ` +
    `${number(live)} in ${number(requests.live)} of the live version`
  )
}
