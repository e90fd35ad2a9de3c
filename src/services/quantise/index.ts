/** Quantise: makes a smaller file of the same model, and tells what it really came to. */
export { readImportance } from './importance.ts'
export { nameForQuantised } from './name-for-quantised.ts'
export type { FallBack, Foreseen, NewFile, Quantiser, QuantiseOrder, TensorChange } from './ports.ts'
export { quantiseModel } from './quantise-model.ts'
export type { Quantised } from './quantise-model.ts'
