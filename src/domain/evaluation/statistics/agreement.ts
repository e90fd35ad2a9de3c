/** How far two raters agree, from a table of how often the first said i and the second j. */

/** Square; `table[i][j]` is how many items the first rater put into class i and the second into class j. Classes in order. */
export type AgreementTable = readonly (readonly number[])[]

/** The share of items on which both said the same. NaN for an empty table. */
export function agreement(table: AgreementTable): number {
  return sumOver(table, (i, j) => (i === j ? 1 : 0)) / sizeOf(table)
}

/**
 * Cohen's κ = (p_o − p_e) / (1 − p_e), p_e = Σ_k p_1k p_2k. NaN when both always said the same one class: there was nothing to agree on.
 * It collapses when nearly all items are of one class; look at `ac1` then.
 */
export function kappa(table: AgreementTable): number {
  const n = sizeOf(table)
  const { rows, columns } = marginsOf(table)
  const chance = rows.reduce((sum, row, k) => sum + (row / n) * ((columns[k] ?? 0) / n), 0)
  return chance === 1 ? Number.NaN : (agreement(table) - chance) / (1 - chance)
}

/**
 * Gwet's AC1 = (p_o − p_e) / (1 − p_e), p_e = Σ_k q_k (1 − q_k) / (K − 1), q_k the mean of both raters' shares of class k. NaN for
 * an empty table and for fewer than two classes.
 */
export function ac1(table: AgreementTable): number {
  const n = sizeOf(table)
  const { rows, columns } = marginsOf(table)
  const chance = rows.reduce((sum, row, k) => {
    const q = (row + (columns[k] ?? 0)) / (2 * n)
    return sum + q * (1 - q)
  }, 0)
  const expected = chance / (table.length - 1)
  return (agreement(table) - expected) / (1 - expected)
}

function sizeOf(table: AgreementTable): number {
  return sumOver(table, () => 1)
}

function sumOver(table: AgreementTable, weight: (i: number, j: number) => number): number {
  return table.reduce((sum, row, i) => row.reduce((inner, count, j) => inner + weight(i, j) * count, sum), 0)
}

function marginsOf(table: AgreementTable): { rows: number[]; columns: number[] } {
  const rows = table.map(row => row.reduce((sum, count) => sum + count, 0))
  const columns = table.map((_, j) => table.reduce((sum, row) => sum + (row[j] ?? 0), 0))
  return { rows, columns }
}
