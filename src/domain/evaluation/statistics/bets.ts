/** Evidence from judged pairs, valid at every look: two betting processes, one for promotion and one against it. */

/**
 * What is kept between pairs; plain numbers, so it may be stored. The order of pairs matters: a bet is made on what came before it.
 * `promote` and `regress` are logarithms of wealth; `sum`, `squares` and `count` estimate the pairs to come.
 */
export type Bets = {
  /** The loss that is tolerated, in units of x. */
  readonly margin: number
  readonly count: number
  readonly sum: number
  readonly squares: number
  readonly promote: number
  readonly regress: number
}

/** Careful while little is known. */
const carefulBets = 20
const carefully = 0.25

/** No pair seen. `margin` ≥ 0 is the loss that is tolerated: with 0.1, an average of −0.1 is just not worse. */
export function startBets(margin: number): Bets {
  return { margin, count: 0, sum: 0, squares: 0.5, promote: 0, regress: 0 }
}

/**
 * One pair more: `x` in [−1, 1], +1 when the candidate won, −1 when it lost, 0 for a tie. Throws RangeError for anything else:
 * a pair that could not be judged is not a tie, and is not pushed.
 *
 * Against H0 E[x] ≤ −margin the wealth `promote` is multiplied by 1 + λ(x + margin), against H0 E[x] ≥ −margin the wealth
 * `regress` by 1 − λ(x + margin), with λ ≥ 0 from earlier pairs alone and never more than half of what could ruin it.
 * Waudby-Smith & Ramdas, «Estimating means of bounded random variables by betting».
 */
export function pushBet(bets: Bets, x: number): Bets {
  if (!(x >= -1 && x <= 1)) throw new RangeError(`A judged pair is a number from -1 to 1, not ${x}.`)
  const stakes = stakesOf(bets)
  const gain = x + bets.margin
  const count = bets.count + 1
  const sum = bets.sum + x
  return {
    margin: bets.margin,
    count,
    sum,
    squares: bets.squares + (x - sum / (count + 1)) ** 2,
    promote: bets.promote + Math.log1p(stakes.promote * gain),
    regress: bets.regress + Math.log1p(-stakes.regress * gain),
  }
}

/** ln of the evidence that the candidate loses by less than the margin: at ln(1/α) it is not worse. */
export function logPromote(bets: Bets): number {
  return bets.promote
}

/** ln of the evidence that the candidate loses by more than the margin. */
export function logRegress(bets: Bets): number {
  return bets.regress
}

/** How many pairs more until either verdict; null where what was seen so far does not lead there. */
export type PairsNeeded = { promote: number | null; regress: number | null }

/**
 * An estimate: wins and losses go on as seen, and so does the bet. Null before any pair, and where the wealth does not grow.
 */
export function neededPairs(bets: Bets, alpha: number): PairsNeeded {
  if (bets.count === 0) return { promote: null, regress: null }
  const goal = Math.log(1 / alpha)
  const stakes = stakesOf({ ...bets, count: Math.max(bets.count, carefulBets) })
  return {
    promote: pairsUntil(goal - bets.promote, growth(bets, stakes.promote)),
    regress: pairsUntil(goal - bets.regress, growth(bets, -stakes.regress)),
  }
}

function pairsUntil(gap: number, perPair: number): number | null {
  if (gap <= 0) return 0
  return perPair > 0 ? Math.ceil(gap / perPair) : null
}

/** What is gained in ln of wealth by a pair, with the wins and losses that the running mean and variance amount to. */
function growth(bets: Bets, stake: number): number {
  const mean = bets.sum / bets.count
  const square = Math.min(1, Math.max(Math.abs(mean), varianceOf(bets) + mean * mean))
  const won = (square + mean) / 2
  const lost = (square - mean) / 2
  const at = (x: number) => Math.log1p(stake * (x + bets.margin))
  return won * at(1) + (1 - square) * at(0) + lost * at(-1)
}

/** The bets that the pairs so far suggest: the best ones if x were normal, bounded and at first a quarter of that. */
function stakesOf(bets: Bets): { promote: number; regress: number } {
  const { margin } = bets
  const lead = bets.sum / (bets.count + 1) + margin
  const best = lead / (varianceOf(bets) + lead * lead)
  const share = bets.count < carefulBets ? carefully : 1
  return {
    promote: share * Math.min(Math.max(best, 0), 0.5 / (1 - margin)),
    regress: share * Math.min(Math.max(-best, 0), 0.5 / (1 + margin)),
  }
}

function varianceOf({ squares, count }: Bets): number {
  return squares / (count + 1)
}
