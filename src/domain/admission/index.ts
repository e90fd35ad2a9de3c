/** Admission: who is next when requests wait for an engine, how long that takes, how many it runs at once. Start at `fair-queue.ts`. */
export { openFairQueue, weightOf } from './fair-queue.ts'
export type { Claim, FairQueue } from './fair-queue.ts'
export { learnFromRefusal, learnPlaces, placesHere, unknownPlaces } from './learn-places.ts'
export type { LearnedPlaces } from './learn-places.ts'
export { openOrder } from './order.ts'
export type { Order } from './order.ts'
export { expectWait, isHopeless, noPace, stepPace } from './pace.ts'
export type { Expectation, Pace } from './pace.ts'
