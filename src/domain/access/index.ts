/** Access: who may do what. The gateway starts at `authenticate`; keys are made and kept by src/services/access. */
export type { Budget, BudgetUnit, Limits, Priority } from './bounds.ts'
export { isWithin, parseNetwork, toSubscriber } from './address.ts'
export type { Network } from './address.ts'
export { parseDuration } from './duration.ts'
export { forAll, periodOf, periodProblem, spanOf, spans } from './period.ts'
export type { Period, Span, SpanName } from './period.ts'
export { holdersOf } from './holders.ts'
export type { Holder } from './holders.ts'
export {
  applyChanges,
  authenticate,
  buildAccessTable,
  keyStatus,
  mayUse,
  permittedModels,
  toAccessImage,
} from './image.ts'
export type { AccessTable, Authentication, Grants, KeyRefusal } from './image.ts'
export {
  hasExpired,
  isTooLong,
  looksLikeToken,
  readIdentity,
  refuseHeader,
  teamOfToken,
  tokenAlgorithms,
} from './jwt.ts'
export type { Identity, ReadToken, TokenIssuer, TokenRefusal } from './jwt.ts'
export { checkKeyFormat, keyRandomBytes, makeKey, maskKey, randomBase62 } from './key-format.ts'
export type { KeyFormat } from './key-format.ts'
export type { AccessPublisher, AccessStore, InForce, TokenVerifier } from './ports.ts'
export { refuseByScope, routeScopes, unbounded } from './scopes.ts'
export type { RouteScope, Scopes } from './scopes.ts'
export type { AccessChange, AccessImage, Key, NumberedChange, Owner, Principal, Secret, Team } from './types.ts'
