/** Any OpenAI-compatible address. Other dialects borrow what they share with it. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { toFault } from './errors.ts'
import { probe } from './health.ts'
import { relay, toRequest } from './request.ts'

export const openai: EngineDialect = { kind: 'openai', toRequest, relay, toFault, probe }

export { continued, continuedFields, plainChat, plainChatFields } from './chat.ts'
export { embeddingRepair } from './embeddings.ts'
export { toFault } from './errors.ts'
export { probe, probeWith, prometheusAt, saysLoading } from './health.ts'
export type { LoadNames } from './load.ts'
export { insteadOf, unsupported, withoutSuffix } from './request.ts'
export { answerFailed, keyMarks, mapChoices, reasoning, repairWith } from './repair.ts'
export type { Mend } from './repair.ts'
export { ranking } from './rerank.ts'
export { countByCompletion, tokenCount } from './tokenize.ts'
export { saidCalls, saidCallsOf } from './said-calls.ts'
export { toolCalls } from './tool-calls.ts'
export { asCount, asNumber, asText, field, isRecord, parseJson } from './json.ts'
