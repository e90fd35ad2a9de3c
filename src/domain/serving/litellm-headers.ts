/** The response headers by which LiteLLM's clients tell what answered. Its api-base and its cost are not told: one is nobody's business, the other unknown. */
import type { Millis, ModelName, RequestId, VersionName } from '../units.ts'

export type Answered = {
  callId: RequestId
  /** What answered; `null`: nothing got that far. */
  modelId: VersionName | null
  /** The public name that was asked for. */
  modelGroup: ModelName | null
  /** How many replicas were asked after the first. */
  attemptedRetries: number
  /** Holdfast's own. */
  version: string
  /** The whole answer's time; `null`: it is not known yet, as in the head of a stream. */
  responseDuration: Millis | null
  /** What of that was not the engine's; `null`: not measured. */
  overhead: Millis | null
}

/** Names in lower case, as HTTP/2 and Node have them. What is not known has no header. */
export function liteLlmHeaders(answered: Answered): Record<string, string> {
  const { callId, modelId, modelGroup, attemptedRetries, version, responseDuration, overhead } = answered
  return {
    'x-litellm-call-id': callId,
    ...(modelId === null ? {} : { 'x-litellm-model-id': modelId }),
    ...(modelGroup === null ? {} : { 'x-litellm-model-group': modelGroup }),
    'x-litellm-version': version,
    'x-litellm-attempted-retries': String(attemptedRetries),
    ...(responseDuration === null ? {} : { 'x-litellm-response-duration-ms': toMs(responseDuration) }),
    ...(overhead === null ? {} : { 'x-litellm-overhead-duration-ms': toMs(overhead) }),
  }
}

/** Clients parse it as a number; below a microsecond nothing is known. */
const toMs = (length: Millis): string => String(Math.round(length * 1000) / 1000)
