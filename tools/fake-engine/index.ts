/** A model server for tests and `npm run dev`: start one with `startFakeEngine`, or as a process with `main.ts`. */
export { startFakeEngine } from './fake-engine.ts'
export type { FakeEngine, FakeEngineOptions } from './fake-engine.ts'
export type { Behaviour, BehaviourChange } from './behaviour.ts'
export type { FakeState, SeenRequest } from './state.ts'
