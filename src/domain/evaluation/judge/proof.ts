/** What a judge and people say of the same pairs, and whether it may judge then. */
import { ac1, agreement, agreementInterval, kappa, type AgreementTable } from '../statistics/index.ts'
import { admitPairJudge, type Admissibility } from './admissibility.ts'
import { toFigures, type JudgeFigures, type JudgeRecord } from './judge-record.ts'
import type { PairScore } from './pair-outcome.ts'

export type JudgeProof = {
  admissibility: Admissibility
  figures: JudgeFigures
  /** Pairs that both judged. */
  labelled: number
  /** Judge's score (rows: a, tie, b) by people's. */
  table: AgreementTable
  /** Share of pairs with the same verdict. */
  agreement: number
  /** Cohen's, beyond chance, with a bootstrap interval of 95 %. */
  kappa: { value: number; interval: readonly [number, number] }
  /** Gwet's, which stays steady where nearly all are ties. */
  ac1: number
}

/** `verdicts`: of pairs that the judge could read. `random`: seeded. */
export function proofOf(
  record: JudgeRecord,
  verdicts: readonly { judge: PairScore; people: PairScore }[],
  random: () => number,
): JudgeProof {
  const table = [-1, 0, 1].map(judge =>
    [-1, 0, 1].map(people => verdicts.filter(each => each.judge === judge && each.people === people).length),
  )
  return {
    admissibility: admitPairJudge(record, table),
    figures: toFigures(record),
    labelled: verdicts.length,
    table,
    agreement: agreement(table),
    kappa: { value: kappa(table), interval: agreementInterval(table, kappa, { random }) },
    ac1: ac1(table),
  }
}
