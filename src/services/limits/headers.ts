/** Headers: what a client is told of its limits, in the words that its library knows. */
import type { Allowance, Allowances } from '../../domain/limits/index.ts'
import type { Surface } from '../../domain/dialect/index.ts'

/**
 * `wallNow`: milliseconds since 1970. Empty when nothing bounds the caller. One object, filled by names that are written out:
 * names put together for each answer cost more than all else here.
 */
export function renderAllowances(surface: Surface, allowances: Allowances, wallNow: number): Record<string, string> {
  const { requests, tokens } = allowances
  const headers: Record<string, string> = {}
  if (surface === 'anthropic') {
    if (requests !== null) {
      headers['anthropic-ratelimit-requests-limit'] = String(requests.limit)
      headers['anthropic-ratelimit-requests-remaining'] = String(requests.remaining)
      headers['anthropic-ratelimit-requests-reset'] = momentOf(requests, wallNow)
    }
    if (tokens !== null) {
      headers['anthropic-ratelimit-tokens-limit'] = String(tokens.limit)
      headers['anthropic-ratelimit-tokens-remaining'] = String(tokens.remaining)
      headers['anthropic-ratelimit-tokens-reset'] = momentOf(tokens, wallNow)
    }
    return headers
  }
  if (requests !== null) {
    headers['x-ratelimit-limit-requests'] = String(requests.limit)
    headers['x-ratelimit-remaining-requests'] = String(requests.remaining)
    headers['x-ratelimit-reset-requests'] = toDuration(requests.resetsIn)
  }
  if (tokens !== null) {
    headers['x-ratelimit-limit-tokens'] = String(tokens.limit)
    headers['x-ratelimit-remaining-tokens'] = String(tokens.remaining)
    headers['x-ratelimit-reset-tokens'] = toDuration(tokens.resetsIn)
  }
  return headers
}

/** An RFC 3339 moment, in whole seconds, as Anthropic's. */
function momentOf({ resetsIn }: Allowance, wallNow: number): string {
  return new Date(Math.ceil((wallNow + resetsIn) / 1000) * 1000).toISOString().replace('.000Z', 'Z')
}

/** As Go prints durations, which is what OpenAI sends: `20ms`, `1s`, `8.64s`, `6m0s`. */
export function toDuration(span: number): string {
  const whole = Math.ceil(span)
  if (whole === 0) return '0s'
  if (whole < 1000) return `${whole}ms`
  const minutes = Math.floor(whole / 60_000)
  const seconds = (whole % 60_000) / 1000
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds}s`
}
