/** What a look at the world makes of a release: stop, hold, go on, or wait. Rules: R3–R6, R13, R16, R17 in SPEC.md. */
import { atDraft, atShadow, atTrial } from './before-traffic.ts'
import { decide, unchanged, workOf } from './decide.ts'
import type { Effect, Look, Stepped } from './event.ts'
import { lasting } from './figures.ts'
import { gatesOf, readGates } from './gates.ts'
import { isOver, waits } from './limits.ts'
import { changeBy, hold, rollBack, wait, waitInTime, type Next, type Seen } from './next.ts'
import { isOverFor } from './plan.ts'
import { needsCandidate, needsLive } from './reality.ts'
import type { Release } from './release.ts'
import { atTraffic } from './traffic.ts'

const askConfirm: Effect = { do: 'confirm' }

export function look(release: Release, at: Look): Stepped {
  if (isOverFor(release)) return unchanged(release)
  const watched = watch(release, at)
  const next = nextAt(watched, at)
  if (next.do === 'change') return decide(watched, at, next.change)
  // Whoever was asked before may have failed, or be gone: asking again costs nothing.
  return { ...unchanged(watched), effects: [...workOf(watched), ...(next.confirm === true ? [askConfirm] : [])] }
}

/** How it stands now, for people: a release's own `why` and gates are as old as its last decision. Costs some milliseconds. */
export function outlook(release: Release, at: Look): Pick<Release, 'verdict' | 'why' | 'gates'> {
  const { verdict, why, gates } = release
  if (isOverFor(release)) return { verdict, why, gates }
  const next = nextAt(watch(release, at), at)
  const now = readGates(release, at.evidence, at.now)
  if (next.do === 'change') return { verdict: next.change.verdict, why: next.change.why, gates: now }
  return release.phase === 'held' ? { verdict, why, gates: now } : { verdict: 'hold', why: next.why(), gates: now }
}

/** Remembers since when the candidate's engine is away; the same release where that is as it was. */
function watch(release: Release, { candidate, now }: Look): Release {
  const known = release.unreadySince ?? null
  const isAway = needsCandidate(release) && candidate.state !== 'ready'
  const since = isAway ? (known ?? now) : null
  return since === known ? release : { ...release, unreadySince: since }
}

function nextAt(release: Release, at: Look): Next {
  const seen = { release, at, gates: gatesOf(release, at.evidence, at.now) }
  const against = firesAgainst(seen)
  if (against !== null) return changeBy(rollBack(against))
  if (release.phase === 'held') return wait(() => release.why)
  return engineAway(seen) ?? atPhase(seen)
}

function atPhase(seen: Seen): Next {
  const { phase, why } = seen.release
  switch (phase) {
    case 'draft':
      return atDraft(seen)
    case 'smoke':
    case 'golden':
      return atTrial(seen)
    case 'shadow':
      return atShadow(seen)
    case 'canary':
    case 'bake':
      return atTraffic(seen)
    case 'held':
    case 'live':
    case 'aborted':
    case 'rolled-back':
      return wait(() => why)
    default:
      return phase satisfies never
  }
}

/** What ends it at once wherever it is, held or not: being held is not being unwatched. */
function firesAgainst({ release, at, gates }: Seen): string | null {
  const fired = gates.find(gate => gate.verdict === 'rollback')
  if (fired !== undefined) return `${fired.name}: ${fired.read().evidence}`
  const { candidate, now } = at
  if (!needsCandidate(release)) return null
  if (candidate.state === 'failed') return `hard-stops: the engine of ${release.to} failed: ${candidate.why}`
  const since = release.unreadySince ?? null
  // At first it is given the time that loading takes; afterwards that of a restart. A draft that does not load is held.
  if (release.phase === 'draft' || since === null) return null
  const patience = release.swap === 'cut' ? waits.load : waits.return
  if (!isOver(since, patience, now)) return null
  return `hard-stops: the engine of ${release.to} has not answered for ${lasting(patience)}: ${candidate.why}`
}

function engineAway(seen: Seen): Next | null {
  const { release, at } = seen
  const { candidate, live, now } = at
  if (needsCandidate(release) && candidate.state !== 'ready') {
    const state = `the engine of ${release.to} is ${candidate.state}: ${candidate.why}`
    if (release.phase === 'draft' && isOver(release.since, waits.load, now))
      return changeBy(hold(release, `after ${lasting(waits.load)} ${state}`))
    return wait(() => `waits for ${release.to}: ${state}`)
  }
  // Beside a version that does not answer, anything looks good.
  if (needsLive(release) && live.state !== 'ready')
    return waitInTime(
      seen,
      () => `waits for the live version: the engine of ${release.from} is ${live.state}: ${live.why}`,
    )
  return null
}
