/** Limits: how much a key, a team, a model or an address may use in any minute and at once. Start at `take`; rules in SPEC.md. */
export { openTokenEstimates } from './estimates.ts'
export type { TokenEstimates } from './estimates.ts'
export type { Subject } from './account.ts'
export {
  beat,
  beginJoin,
  forgetIdle,
  hearReply,
  leavingCall,
  nextCall,
  openLedger,
  pause,
  setGateways,
  standAlone,
} from './ledger.ts'
export type { Call, Ledger, Reply } from './ledger.ts'
export { allowancesOf } from './standing.ts'
export type { Allowance, Allowances } from './standing.ts'
export { cancel, release, settle, take } from './take.ts'
export type { Hold, TokenNeed, Verdict } from './take.ts'
export { addTo, leavesAt, openWindow, sliceSpan, totalOf, windowSpan } from './window.ts'
export type { Window } from './window.ts'
export { blockSpan } from './words.ts'
export type { Answer, GaugeWord, Granted, PlacesWord, Word } from './words.ts'
