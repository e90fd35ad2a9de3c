/** Compare: what a quantised model lost against the one that it was made from, on a text. */
export { compareModels, checkSameModel } from './compare-models.ts'
export type { Comparison } from './compare-models.ts'
export type { Scorer, ScoreOrder } from './ports.ts'
