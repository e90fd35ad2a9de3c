/** Puts pairs that people judged to a judge, in both orders, and has the domain say whether it may judge. */
import {
  openJudgeRecord,
  promptVersions,
  proofOf,
  type JudgePin,
  type JudgeProof,
  type LabelledPair,
  type PairScore,
} from '../../domain/evaluation/index.ts'
import { seededRandom } from '../../domain/evaluation/statistics/index.ts'
import { judgePair, pinOf, type Judge } from './judge.ts'

export type ProvingJudge = {
  judge: Judge
  pairs: readonly LabelledPair[]
  signal: AbortSignal
  onProgress?: (progress: { done: number; all: number; what: 'answers' }) => void
}

/** Only `signal` makes it reject. One pair after another: which control is due depends on those before. */
export async function proveJudge({
  judge,
  pairs,
  signal,
  onProgress,
}: ProvingJudge): Promise<{ proof: JudgeProof; pin: JudgePin }> {
  let record = openJudgeRecord()
  const verdicts: { judge: PairScore; people: PairScore }[] = []
  for (const [n, { messages, a, b, label }] of pairs.entries()) {
    const judged = await judgePair(judge, { messages, live: a, candidate: b }, { record, signal })
    record = judged.record
    if ('score' in judged.outcome) verdicts.push({ judge: judged.outcome.score, people: label })
    onProgress?.({ done: n + 1, all: pairs.length, what: 'answers' })
  }
  return { proof: proofOf(record, verdicts, seededRandom(judge.seed)), pin: pinOf(judge, promptVersions.pair) }
}
