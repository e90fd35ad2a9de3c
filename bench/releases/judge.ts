/** Judged pairs that never were: wins, losses and ties at known rates, bet on one after the other. */
import { logPromote, logRegress, pushBet, startBets } from '../../src/domain/evaluation/statistics/index.ts'
import { foundIn } from './found.ts'
import type { Found } from './found.ts'

export type JudgeCase = {
  title: string
  /** Chances of a win and of a loss of the candidate; the rest are ties. */
  win: number
  loss: number
  margin: number
  /** What the simulation that the defaults were chosen by found: per cent promoted and found worse, and the median of pairs until the commoner of the two. */
  chosenBy: { promoted: number; regressed: number; median: number | null }
}

export const judgeCases: readonly JudgeCase[] = [
  row('equal, 15/15', 0.05, { promoted: 76, regressed: 0.05, median: 643 }),
  row('equal, 15/15', 0.1, { promoted: 99.98, regressed: 0.02, median: 211 }),
  row('equal, 30/30', 0.05, { promoted: 40, regressed: 0.35, median: 708 }),
  row('equal, 30/30', 0.1, { promoted: 98, regressed: 0.1, median: 422 }),
  row('on the margin, 15/20', 0.05, { promoted: 2.1, regressed: 2.7, median: null }),
  row('on the margin, 15/25', 0.1, { promoted: 2.7, regressed: 2, median: null }),
  row('worse, 15/25', 0.05, { promoted: 0.2, regressed: 61, median: 724 }),
  row('worse, 15/35', 0.05, { promoted: 0, regressed: 100, median: 144 }),
  row('worse, 15/35', 0.1, { promoted: 0.1, regressed: 99.5, median: 320 }),
  row('worse, 10/40', 0.05, { promoted: 0, regressed: 100, median: 56 }),
  row('worse, 10/40', 0.1, { promoted: 0, regressed: 100, median: 77 }),
  row('better, 25/15', 0.05, { promoted: 100, regressed: 0, median: 126 }),
  row('better, 25/15', 0.1, { promoted: 100, regressed: 0, median: 71 }),
]

export const judgeAlpha = 0.05
const judgePairs = 1500

/** After how many pairs which verdict fell; null when neither did. */
export type JudgeRun = { verdict: 'promoted' | 'regressed'; pairs: number } | null

export function runJudge({ win, loss, margin }: JudgeCase, random: () => number): JudgeRun {
  const goal = Math.log(1 / judgeAlpha)
  let bets = startBets(margin)
  for (let pairs = 1; pairs <= judgePairs; pairs++) {
    bets = pushBet(bets, drawPair(random(), win, loss))
    if (logPromote(bets) >= goal) return { verdict: 'promoted', pairs }
    if (logRegress(bets) >= goal) return { verdict: 'regressed', pairs }
  }
  return null
}

/** The runs that ended so, of all of them. */
export function verdictsIn(seen: readonly JudgeRun[], verdict: 'promoted' | 'regressed'): Found {
  return foundIn(seen.map(run => (run?.verdict === verdict ? run.pairs : null)))
}

function drawPair(chance: number, win: number, loss: number): number {
  if (chance < win) return 1
  return chance < win + loss ? -1 : 0
}

/** The chances are in the title, so that it can't say something else. */
function row(title: string, margin: number, chosenBy: JudgeCase['chosenBy']): JudgeCase {
  const [win = 0, loss = 0] = (title.split(' ').at(-1) ?? '').split('/').map(part => Number(part) / 100)
  return { title, win, loss, margin, chosenBy }
}
