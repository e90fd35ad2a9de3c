/** Slow: over what 95 % of the live version's requests of the same kind were faster than, before the release. */
import { limits } from './limits.ts'
import type { Baseline } from './release.ts'

export type Latency = 'firstToken' | 'perToken'

type Timed = { stratum: string; cancelled: boolean; firstTokenMs: number | null; perTokenMs: number | null }

/** `null`: not measured, or nothing to measure it by. */
export function isSlow(request: Timed, latency: Latency, baseline: Baseline | null): boolean | null {
  const bound = boundOf(baseline, latency, request.stratum)
  const took = latency === 'firstToken' ? request.firstTokenMs : request.perTokenMs
  if (bound === null || took === null) return null
  if (took > bound) return true
  // Who left early enough might have waited for a slow one.
  return request.cancelled ? null : false
}

/** Strata with enough live requests to say what is slow, and those without. */
export function strataOf(baseline: Baseline | null, latency: Latency): { tested: string[]; left: string[] } {
  const names = Object.keys(baseline?.slow ?? {}).toSorted()
  return {
    tested: names.filter(name => boundOf(baseline, latency, name) !== null),
    left: names.filter(name => boundOf(baseline, latency, name) === null),
  }
}

function boundOf(baseline: Baseline | null, latency: Latency, stratum: string): number | null {
  const known = baseline?.slow[stratum]
  if (known === undefined || known.requests < limits.baselineRequests) return null
  return latency === 'firstToken' ? known.firstTokenMs : known.perTokenMs
}
