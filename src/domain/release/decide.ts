/** A decision: the change of a release together with everything that it was decided from. */
import { openEvidence, type Evidence } from './evidence.ts'
import type { Effect, ReleaseEvent, Stepped } from './event.ts'
import { readGates } from './gates.ts'
import { alphas, limits } from './limits.ts'
import { shareOf } from './plan.ts'
import { realityOf } from './reality.ts'
import type { Actor, Decision, GateReading, Release, Verdict } from './release.ts'

export type Change = {
  /** What is different from now on. */
  to: Partial<Release>
  verdict: Verdict
  why: string
  /** The controller by itself, unless it says. */
  by?: Actor
}

const controller: Actor = { who: 'controller', alias: null, reason: 'evidence' }

export const unchanged = (release: Release): Stepped => ({ next: release, effects: [], decision: null, refused: null })

export const refuse = (release: Release, refused: string): Stepped => ({ ...unchanged(release), refused })

export function decide(release: Release, event: ReleaseEvent, { to, verdict, why, by = controller }: Change): Stepped {
  const evidence = 'evidence' in event ? (event.evidence ?? null) : null
  const gates = gatesAt(release, event, evidence)
  const moved = to.phase !== undefined || to.step !== undefined || to.swap !== undefined
  const next: Release = {
    ...release,
    ...(moved ? { since: event.now, unreadySince: null } : {}),
    ...to,
    // Where it goes on, the next thing is only waited for.
    verdict: verdict === 'promote' && to.phase !== 'live' ? 'hold' : verdict,
    why,
    gates,
  }
  const decision: Omit<Decision, 'n'> = {
    release: release.id,
    at: event.now,
    from: { phase: release.phase, step: release.step },
    to: { phase: next.phase, step: next.step },
    share: shareOf(next),
    ...{ verdict, why, by, gates },
    seq: evidence?.seq ?? 0,
    inputs: inputsOf(release, event, evidence),
  }
  return { next, effects: [...effectsOf(release, next), { do: 'notify', decision }], decision, refused: null }
}

/** Results come before any traffic: there is no other evidence yet, and the gates tell of them. */
function gatesAt(release: Release, event: ReleaseEvent, evidence: Evidence | null): GateReading[] {
  if (evidence !== null) return readGates(release, evidence, event.now)
  const isResult = event.kind === 'smoke-done' || event.kind === 'golden-done'
  return isResult ? readGates(release, openEvidence(release.policy), event.now) : release.gates
}

/** What has to be done because of where it is now; `before`: where it was. */
function effectsOf(before: Release, next: Release): Effect[] {
  const isServed = JSON.stringify(realityOf(before)) === JSON.stringify(realityOf(next))
  const isEntered = before.phase !== next.phase || before.since !== next.since
  return [...(isServed ? [] : [{ do: 'serve' } as const]), ...(isEntered ? workOf(next) : [])]
}

/** The work of a phase. */
export function workOf({ phase, smoke, golden }: Release): Effect[] {
  if (phase === 'smoke' && smoke === null) return [{ do: 'smoke' }]
  if (phase === 'golden' && golden === null) return [{ do: 'golden' }]
  return []
}

/** Enough to make the decision again: `recompute` does. */
function inputsOf(release: Release, event: ReleaseEvent, evidence: Evidence | null): Decision['inputs'] {
  const inputs = {
    event: withoutEvidence(event),
    before: { unreadySince: release.unreadySince ?? null },
    counts: evidence === null ? null : summaryOf(evidence),
    thresholds: { alphas, limits },
    salt: release.salt,
  }
  // A copy: evidence goes on counting.
  return JSON.parse(JSON.stringify(inputs))
}

function withoutEvidence(event: ReleaseEvent): Record<string, unknown> {
  const { now: _at, ...rest } = event
  if (!('evidence' in rest)) return rest
  const { evidence: _numbers, ...seen } = rest
  return seen
}

function summaryOf({ steps, answered, runs, judged, isFull }: Evidence): Record<string, unknown> {
  const { sure: _sure, ...pairs } = judged
  return { steps: Object.fromEntries(steps), answered, runs, judged: pairs, isFull }
}
