/** Whether two series rise together, by ranks. */

/**
 * Spearman's rank correlation, ties sharing their mean rank. NaN for fewer than two pairs, for series of different length, and where one
 * series is constant.
 */
export function spearman(xs: readonly number[], ys: readonly number[]): number {
  if (xs.length !== ys.length || xs.length < 2) return Number.NaN
  const x = ranksOf(xs)
  const y = ranksOf(ys)
  const middle = (xs.length + 1) / 2
  const product = (ones: readonly number[], others: readonly number[]) =>
    ones.reduce((sum, one, i) => sum + (one - middle) * ((others[i] ?? middle) - middle), 0)
  return product(x, y) / Math.sqrt(product(x, x) * product(y, y))
}

function ranksOf(values: readonly number[]): number[] {
  const order = values.map((value, at) => ({ value, at })).toSorted((one, other) => one.value - other.value)
  const ranks = values.map(() => 0)
  for (let from = 0; from < order.length;) {
    let to = from
    while (to < order.length && order[to]?.value === order[from]?.value) to++
    for (const { at } of order.slice(from, to)) ranks[at] = (from + 1 + to) / 2
    from = to
  }
  return ranks
}
