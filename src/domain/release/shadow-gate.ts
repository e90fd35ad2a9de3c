/** The gate of the shadow phase: what a judge says of copied requests, or, without one, that they were answered. */
import { admitPairJudge, type Admissibility } from '../evaluation/index.ts'
import { neededPairs } from '../evaluation/statistics/index.ts'
import { counted, eValueOf, number } from './figures.ts'
import type { Gate } from './gate.ts'
import type { Judged } from './judged.ts'
import { alphaOf, alphas, limits } from './limits.ts'
import type { GateReading, Policy, Verdict } from './release.ts'

type Shadow = NonNullable<Policy['shadow']>

export function shadowGate(policy: Policy, shadow: Shadow, judged: Judged): Gate {
  return shadow.judge === null ? pairsGate(shadow, judged) : judgeGate(judged, alphaOf(policy, 'judge'))
}

function pairsGate({ maxPairs }: Shadow, { answered }: Judged): Gate {
  const wanted = Math.min(limits.pairs, maxPairs)
  const verdict = answered >= wanted ? 'promote' : 'hold'
  const read = (): GateReading => ({
    ...{ name: 'pairs', verdict },
    ...(verdict === 'hold' ? { needed: wanted - answered } : {}),
    evidence: `${number(answered)} of ${counted(wanted, 'copy', 'copies')} answered; no judge compares them`,
  })
  return { name: 'pairs', verdict, isProof: true, read }
}

function judgeGate(judged: Judged, alpha: number): Gate {
  const admission = admitPairJudge(judged.record)
  const verdict = verdictOf(judged, { admission, alpha })
  return { name: 'judge', verdict, isProof: true, read: () => readJudge(judged, { admission, verdict, alpha }) }
}

type Told = { admission: Admissibility; alpha: number }

/** A judge that has not proved itself says nothing; what identical answers show alone needs none. */
function verdictOf({ best }: Judged, { admission: { kind }, alpha }: Told): Verdict {
  if (best.sure >= Math.log(1 / alphas.promote)) return 'promote'
  if (kind === 'inadmissible') return 'judge-inadmissible'
  if (kind === 'unproven') return 'hold'
  if (best.regress >= Math.log(1 / alpha)) return 'rollback'
  return best.promote >= Math.log(1 / alphas.promote) ? 'promote' : 'hold'
}

function readJudge(judged: Judged, { admission, verdict, alpha }: Told & { verdict: Verdict }): GateReading {
  const { bets, best, record, answered } = judged
  const needed = verdict === 'hold' ? neededFor(judged, { admission, alpha }) : null
  const pairs =
    `${counted(answered, 'pair')}: ${number(record.wins)} won by the candidate, ${number(record.losses)} by the live version, ` +
    `${number(record.identical)} identical, ${number(bets.count - record.wins - record.losses - record.identical)} undecided`
  return {
    ...{ name: 'judge', verdict, eValue: eValueOf(best.regress), threshold: 1 / alpha },
    notWorse: { eValue: eValueOf(Math.max(best.promote, best.sure)), threshold: 1 / alphas.promote },
    ...(needed === null ? {} : { needed }),
    evidence: `${pairs}${judgeWords(admission)}`,
  }
}

/** How many pairs until either verdict; no sooner than the judge has proved itself. */
function neededFor({ bets }: Judged, { admission, alpha }: Told): number | null {
  const ways = [neededPairs(bets, alphas.promote).promote, neededPairs(bets, alpha).regress].filter(n => n !== null)
  const proof = admission.kind === 'unproven' ? admission.needed : 0
  return ways.length === 0 ? null : Math.max(proof, Math.min(...ways))
}

function judgeWords(admission: Admissibility): string {
  switch (admission.kind) {
    case 'inadmissible':
      return `. The judge can't be believed: ${admission.why.join('; ')}`
    case 'unproven':
      return `. The judge has not proved itself yet: ${admission.why}`
    case 'admissible':
      return admission.warnings.length === 0 ? '' : `. About the judge: ${admission.warnings.join('; ')}`
    default:
      return admission satisfies never
  }
}
