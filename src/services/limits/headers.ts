/** Headers: what a client is told of its limits, in the words that its library knows. */
import type { Allowance, Allowances } from '../../domain/limits/index.ts'
import type { Surface } from '../../domain/dialect/index.ts'

/** `wallNow`: milliseconds since 1970. Empty when nothing bounds the caller. */
export function renderAllowances(surface: Surface, allowances: Allowances, wallNow: number): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const kind of ['requests', 'tokens'] as const) {
    const allowance = allowances[kind]
    if (allowance === null) continue
    Object.assign(headers, surface === 'anthropic' ? anthropic(kind, allowance, wallNow) : openai(kind, allowance))
  }
  return headers
}

function openai(kind: string, { limit, remaining, resetsIn }: Allowance): Record<string, string> {
  return {
    [`x-ratelimit-limit-${kind}`]: String(limit),
    [`x-ratelimit-remaining-${kind}`]: String(remaining),
    [`x-ratelimit-reset-${kind}`]: toDuration(resetsIn),
  }
}

/** The moment is an RFC 3339 one, in whole seconds, as theirs. */
function anthropic(kind: string, { limit, remaining, resetsIn }: Allowance, wallNow: number): Record<string, string> {
  const at = new Date(Math.ceil((wallNow + resetsIn) / 1000) * 1000)
  return {
    [`anthropic-ratelimit-${kind}-limit`]: String(limit),
    [`anthropic-ratelimit-${kind}-remaining`]: String(remaining),
    [`anthropic-ratelimit-${kind}-reset`]: at.toISOString().replace('.000Z', 'Z'),
  }
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
