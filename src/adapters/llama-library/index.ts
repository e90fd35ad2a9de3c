/** llama.cpp's own library, in a process of its own: makes quantised files, and scores texts with two models. */
export { openQuantiser, openScorer } from './open.ts'
export type { Order, Said } from './orders.ts'
export { carryOut } from './work.ts'
