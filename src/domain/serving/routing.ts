/** Routing: which replica of a version gets the next request. Superseded by ../routing, whose SPEC.md has the rules. */

/** What the choice looks at. */
export type Candidate = {
  /** Requests of ours that it is serving now. */
  inFlight: number
  /** Above 0; twice the weight, twice the requests. */
  weight: number
  backup: boolean
  usable: boolean
}

/**
 * The usable replica with the fewest requests in flight for its weight; backups only when nobody else is usable.
 * `turn` breaks ties: a number that grows by one each request, so that equals share. `null`: none is usable.
 */
export function pickReplica<C extends Candidate>(candidates: readonly C[], turn: number): C | null {
  return leastLoaded(candidates, turn, false) ?? leastLoaded(candidates, turn, true)
}

function leastLoaded<C extends Candidate>(candidates: readonly C[], turn: number, backup: boolean): C | null {
  let best: C | null = null
  let bestLoad = Infinity
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[(i + turn) % candidates.length]
    if (candidate === undefined || !candidate.usable || candidate.backup !== backup) continue
    // One more for the request at hand, so that weights count while all are idle.
    const load = (candidate.inFlight + 1) / candidate.weight
    if (load < bestLoad) {
      best = candidate
      bestLoad = load
    }
  }
  return best
}
