/** Evaluation at work: golden sets against any model, and pairs before a judge. What it all means is decided in domain/evaluation. */
export { evaluateGolden } from './evaluate-golden.ts'
export type { GoldenEvaluation, GoldenResult, Progress } from './evaluate-golden.ts'
export { judgePair, markAnswer, markControl } from './judge.ts'
export type { Judge, JudgedPair, Pair } from './judge.ts'
export { AskError } from './ports.ts'
export { proveJudge } from './prove-judge.ts'
export type { Ask, AskOptions, Embed } from './ports.ts'
