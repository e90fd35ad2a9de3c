/** Serving: what a gateway decides about a request. Start at `snapshot.ts`, then `ask.ts` and `routing.ts`. */
export { routeScopeOf } from './route-scope.ts'
export { answerProblem } from './answer-shape.ts'
export { changedFields, fieldOf, parseAsk, parsePlainAsk, toEngineBody, toEngineChanges } from './ask.ts'
export type { Ask, BodyChanges, EnginePath, ModelPath, PlainBody, PlainFields } from './ask.ts'
export { compileSnapshot, engineAssignments, publishedIdentity, versionIdentity } from './compile.ts'
export type { ModelReality, Reality } from './compile.ts'
export { conversationOf } from './conversation.ts'
export { completeSnapshot, openEdge, plainModel, unknownCost } from './earlier-snapshot.ts'
export { currencyIn } from './cost-rate.ts'
export type { FlagSetting, FlagStore } from './flag-settings.ts'
export { changedMeanings, identityDifferences, learnVersions, nextFreeName } from './known-versions.ts'
export type { KnownVersions } from './known-versions.ts'
export { servedChanges } from './served-changes.ts'
export type { Served, ServedChange } from './served-changes.ts'
export type { EngineLoad } from './engine-load.ts'
export { isUsable, standingOf, stepHealth, unknownHealth, usableFor } from './health.ts'
export type { Health, HealthEvent, Standing } from './health.ts'
export { learnPace, noPace, piecesPerStretch, slowerThanPeers } from './pace.ts'
export type { Pace, Paced, Stretch } from './pace.ts'
export type { GatewayStore, Joining, KnownGateway, Presence } from './gateways.ts'
export { isBusy, learnPrefill, noProgress, stallOf, stepProgress } from './progress.ts'
export type { Progress, Sighting } from './progress.ts'
export { liteLlmHeaders } from './litellm-headers.ts'
export type { Acknowledgement, AgentFrame, EngineAssignment, GatewayFrame, GatewayReport, Spend } from './link.ts'
export { toModelList, toModelObject } from './model-list.ts'
export type { ModelListing, ModelStatus } from './model-list.ts'
export { charactersPerToken, promptTokens, tokensOfTurn } from './prompt-tokens.ts'
export type {
  CostRate,
  Edge,
  EngineKind,
  FlagRoute,
  GatewayLimits,
  HealthLimits,
  ModelRoute,
  Prompt,
  QualityRoute,
  ReleaseRoute,
  ReplicaRoute,
  RoutingStrategy,
  ShadowRoute,
  Snapshot,
  Task,
  VersionRoute,
} from './snapshot.ts'
export { mayCopy } from './shadow.ts'
export type { LiveSample, PairTexts, SampleTexts, ShadowPair } from './shadow.ts'
export { withoutSockets } from './without-sockets.ts'
