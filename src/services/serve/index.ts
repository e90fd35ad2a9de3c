/** Serve: the life of a request. Start at `serve.ts`, which lists the stages in order. */
export { openGate } from './accept.ts'
export type { Permissions } from './admit.ts'
export type { Authenticate } from './authenticate.ts'
export { openConversations } from './conversations.ts'
export type { Conversations } from './conversations.ts'
export { ClientGone, ownerOf, principalId } from './exchange.ts'
export type { Exchange, ReadBody, Reply, RequestHead, Serve } from './exchange.ts'
export { openFleet } from './fleet.ts'
export type { Fleet } from './fleet.ts'
export type {
  EngineAddress,
  EngineDialect,
  EngineRelay,
  EngineRequest,
  Meter,
  Probe,
  Recorder,
  Repair,
  Target,
  Wire,
  WireCall,
  WireListener,
  WireRequest,
} from './ports.ts'
export { openMemoryGuard } from './memory-guard.ts'
export type { MemoryBound, MemoryGuard } from './memory-guard.ts'
export { openAdmission } from './queue.ts'
export type { Admission, Capacity, Place, PlaceAsk, Waiting } from './queue.ts'
export type { Replica } from './replica.ts'
export { openSamples } from './samples.ts'
export type { SampledAnswer } from './samples.ts'
export { openServe } from './serve.ts'
export { openShadow } from './shadow.ts'
export type { CopiedPair, ShadowOutcome } from './shadow.ts'
export { watchReplicas } from './watch-replicas.ts'
