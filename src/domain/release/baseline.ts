/** How the live version did before: what the candidate's errors and slow answers are measured by. */
import type { Instant } from '../units.ts'
import type { ServedRequest } from './ports.ts'
import type { Baseline } from './release.ts'

/** What so many requests are faster than counts as slow. */
const quantile = 0.95

/** `null`: it served nothing. */
export function baselineFrom(requests: readonly ServedRequest[], at: Instant): Baseline | null {
  if (requests.length === 0) return null
  const strata = new Map<string, ServedRequest[]>()
  for (const request of requests) {
    const some = strata.get(request.stratum) ?? []
    some.push(request)
    strata.set(request.stratum, some)
  }
  return {
    at,
    requests: requests.length,
    errorRate: requests.filter(({ failed }) => failed).length / requests.length,
    slow: Object.fromEntries(
      [...strata].map(([stratum, some]) => [
        stratum,
        {
          firstTokenMs: slowest(some.map(({ firstTokenMs }) => firstTokenMs)),
          perTokenMs: slowest(some.map(({ perTokenMs }) => perTokenMs)),
          requests: some.length,
        },
      ]),
    ),
  }
}

function slowest(values: readonly (number | null)[]): number | null {
  const sorted = values.filter(value => value !== null).toSorted((a, b) => a - b)
  return sorted[Math.ceil(sorted.length * quantile) - 1] ?? null
}
