/** The response headers by which LiteLLM's clients tell what answered. Its api-base and its cost are not told: one is nobody's business, the other unknown; nor its version, which we have none of. */
import type { Millis, ModelName, RequestId, VersionName } from '../units.ts'

export type Answered = {
  callId: RequestId
  /** What answered; `null`: nothing got that far. */
  modelId: VersionName | null
  /** The public name that was asked for. */
  modelGroup: ModelName | null
  /** How many replicas were asked after the first. */
  attemptedRetries: number
  /** The whole answer's time; `null`: it is not known yet, as in the head of a stream. */
  responseDuration: Millis | null
}

/** Beside what is in `headers`. Names in lower case, as HTTP/2 and Node have them. What is not known has no header. */
export function liteLlmHeaders(answered: Answered, headers: Record<string, string> = {}): Record<string, string> {
  const { callId, modelId, modelGroup, attemptedRetries, responseDuration } = answered
  headers['x-litellm-call-id'] = callId
  if (modelId !== null) headers['x-litellm-model-id'] = modelId
  if (modelGroup !== null) headers['x-litellm-model-group'] = modelGroup
  headers['x-litellm-attempted-retries'] = String(attemptedRetries)
  if (responseDuration !== null) headers['x-litellm-response-duration-ms'] = toMs(responseDuration)
  return headers
}

/** Clients parse it as a number; below a microsecond nothing is known. */
function toMs(length: Millis): string {
  const micros = Math.round(length * 1000)
  // A fraction is written out far more slowly than two whole numbers.
  const rest = micros % 1000
  return rest === 0 ? String(micros / 1000) : `${(micros - rest) / 1000}.${String(rest).padStart(3, '0')}`
}
