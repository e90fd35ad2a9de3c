/** Errors as Anthropic's clients read them. Rules M36 and M37. */
import type { HttpFault } from '../../fault.ts'

const types: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
  529: 'overloaded_error',
}

/** The body of an error, and the data of a stream's `error` event. */
export function toAnthropicFault({ status, body }: HttpFault, requestId: string) {
  const { message, param, code } = body.error
  const other = status >= 500 ? 'api_error' : 'invalid_request_error'
  // At these words Claude Code makes its conversation shorter; with others it gives up.
  const said = code === 'context_length_exceeded' ? `prompt is too long: ${message}` : message
  return { type: 'error', error: { type: types[status] ?? other, message: said, param, code }, request_id: requestId }
}
