/** What can come of a look: a change, or waiting for something, which no phase does for ever. */
import { millis } from '../units.ts'
import type { Change } from './decide.ts'
import type { Look } from './event.ts'
import { lasting } from './figures.ts'
import type { Gate } from './gate.ts'
import { bakeOf, isOver, maxTimeOf, waits } from './limits.ts'
import { placeIn } from './plan.ts'
import type { Release, Verdict } from './release.ts'

/** `why` of waiting costs estimates, so that it is only made for who reads it. `confirm`: the hooks are to be asked. */
export type Next = { do: 'change'; change: Change } | { do: 'wait'; why: () => string; confirm?: true }

/** A release, and what is seen of it. */
export type Seen = { release: Release; at: Look; gates: Gate[] }

export const wait = (why: () => string): Next => ({ do: 'wait', why })

export const changeBy = (change: Change): Next => ({ do: 'change', change })

export const goTo = (to: Partial<Release>, why: string): Next => changeBy({ to, verdict: 'promote', why })

export const rollBack = (why: string): Change => ({ to: { phase: 'rolled-back' }, verdict: 'rollback', why })

/** A candidate that was tried alone gives the room back: it will be tried from the beginning. */
export function hold(release: Release, why: string, verdict: Verdict = 'hold'): Change {
  const again =
    release.swap === 'trying' ? ({ heldIn: 'draft', swap: 'waiting' } as const) : { heldIn: placeIn(release) }
  return { to: { phase: 'held', ...again }, verdict, why }
}

/** Waits, but not beyond the phase's time: then it is held or rolled back, as the policy says. */
export function waitInTime({ release, at }: Seen, why: () => string): Next {
  const patience = patienceOf(release)
  if (!isOver(release.since, patience, at.now)) return wait(why)
  const late = `no verdict in ${lasting(patience)}: ${why()}`
  return changeBy(release.policy.onTimeout === 'rollback' ? rollBack(late) : hold(release, late))
}

function patienceOf({ policy, phase, swap }: Release) {
  // The live version rests meanwhile.
  if (swap === 'trying') return waits.load
  const most = maxTimeOf(policy)
  return phase === 'bake' ? millis(bakeOf(policy) + most) : most
}
