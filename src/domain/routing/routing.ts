/** Routing: which replica of a version gets the next request, and why. Rules R1–R16 in SPEC.md. */
import type { RoutingStrategy } from '../serving/index.ts'
import type { ReplicaId } from '../units.ts'
import {
  hasPlace,
  isFull,
  leastLoaded,
  lowest,
  shareOf,
  withRoom,
  type Caller,
  type Candidate,
  type Choice,
} from './candidate.ts'
import { hashText } from './hash.ts'
import { samePrefix } from './prefix-affinity.ts'
import { openPrefixMemory } from './prefix-memory.ts'
import { ownerOf } from './rendezvous.ts'
import { openTurns } from './turns.ts'

/** What a gateway remembers for the routing of one version. */
export type Routing = {
  /** Changes nothing, so it may be asked just to see. `null`: nobody can be asked. */
  choose<C extends Candidate>(strategy: RoutingStrategy, candidates: readonly C[], caller: Caller): Choice<C> | null
  /** The request was given to this one: called once for each that is sent. */
  given(candidate: Candidate, caller: Caller): void
  /** It was restarted, ejected or removed: what it had in its cache is gone. */
  forget(replica: ReplicaId): void
}

type Pool<C extends Candidate> = { members: readonly C[]; reason: string | null }

/** An empty memory: all replicas are equal. */
export function openRouting(): Routing {
  const turns = openTurns()
  const memory = openPrefixMemory()

  return {
    choose(strategy, candidates, caller) {
      const { members, reason } = poolOf(candidates)
      const [first, second] = members
      if (first === undefined) return null
      if (second === undefined) return { candidate: first, reason: reason ?? reasonOfOne(first, candidates) }
      const choice = among(strategy, { pool: members, all: candidates }, caller)
      return reason === null || choice === null ? choice : { ...choice, reason }
    },
    given(candidate, { prefix }) {
      turns.take(candidate.id, shareOf(candidate))
      memory.learn(candidate.id, prefix)
    },
    forget(replica) {
      turns.forget(replica)
      memory.forget(replica)
    },
  }

  function among<C extends Candidate>(
    strategy: RoutingStrategy,
    { pool, all }: { pool: readonly C[]; all: readonly C[] },
    caller: Caller,
  ): Choice<C> | null {
    const { conversation, prefix } = caller
    switch (strategy) {
      case 'least-loaded':
        return tryOut(pool) ?? fewest(pool)
      case 'round-robin':
        return tryOut(pool) ?? inTurn(preferPlaces(pool), 'round robin')
      case 'sticky':
        return conversation === null ? fewest(pool) : sticky(pool, all, conversation)
      case 'prefix-affinity':
        return tryOut(pool) ?? (prefix.length === 0 ? null : samePrefix(pool, prefix, memory)) ?? fewest(pool)
      default:
        return strategy satisfies never
    }
  }

  function fewest<C extends Candidate>(pool: readonly C[]): Choice<C> | null {
    return inTurn(leastLoaded(preferPlaces(pool)), 'least loaded')
  }

  function inTurn<C extends Candidate>(pool: readonly C[], reason: string): Choice<C> | null {
    const [candidate] = lowest(pool, ({ id }) => turns.dueAt(id))
    return candidate === undefined ? null : { candidate, reason }
  }

  function sticky<C extends Candidate>(pool: readonly C[], all: readonly C[], conversation: string): Choice<C> | null {
    const key = hashText(conversation)
    const candidate = ownerOf(withRoom(pool), key)
    if (candidate === null) return fewest(pool)
    const own = ownerOf(
      all.filter(({ backup }) => backup === candidate.backup),
      key,
    )
    return { candidate, reason: candidate === own ? 'sticky' : `sticky: its own ${whyPassedOver(own)}` }
  }
}

/** Backups are asked when no other is usable, and the ejected when no backup is either. */
function poolOf<C extends Candidate>(candidates: readonly C[]): Pool<C> {
  const usable = candidates.filter(({ standing }) => standing === 'usable' || standing === 'trial')
  const main = usable.filter(({ backup }) => !backup)
  if (main.length > 0) return { members: main, reason: null }
  if (usable.length > 0) return { members: usable, reason: 'backup: no other is usable' }
  const ejected = candidates.filter(({ standing }) => standing === 'last-resort')
  const notBackup = ejected.filter(({ backup }) => !backup)
  return {
    members: notBackup.length > 0 ? notBackup : ejected,
    reason: 'last resort: all others are out or ejected too',
  }
}

function reasonOfOne(one: Candidate, { length }: readonly Candidate[]): string {
  if (one.standing === 'trial') return 'trial after an ejection'
  return length === 1 ? 'the only one' : 'only one usable'
}

/** The next request tries who comes back from an ejection. Not the sticky ones: its own conversations will. */
function tryOut<C extends Candidate>(pool: readonly C[]): Choice<C> | null {
  const candidate = pool.find(each => each.standing === 'trial' && hasPlace(each))
  return candidate === undefined ? null : { candidate, reason: 'trial after an ejection' }
}

function preferPlaces<C extends Candidate>(pool: readonly C[]): readonly C[] {
  const free = pool.filter(hasPlace)
  return free.length > 0 ? free : pool
}

function whyPassedOver(own: Candidate | null): string {
  if (own === null || own.standing === 'out' || own.standing === 'last-resort') return 'is not usable'
  return isFull(own) ? 'is full' : 'has more than its share'
}
