/** What people may do to a release by hand: each with a name and a reason. Rules: R24–R27 in SPEC.md. */
import { decide, refuse } from './decide.ts'
import type { Act, Stepped } from './event.ts'
import { isOverFor, placeIn, weightsOf } from './plan.ts'
import type { Actor, Release } from './release.ts'

export function act(release: Release, event: Act): Stepped {
  const { model, to, phase } = release
  if (event.by.reason.trim() === '')
    return refuse(release, `Say why: a release is only changed by hand with a reason (--reason "…").`)
  if (isOverFor(release))
    return refuse(
      release,
      `The release of ${to} for ${model} has ended (${phase}). Begin another one: holdfast release start ${model} <version>`,
    )
  switch (event.kind) {
    case 'abort':
      return decide(release, event, { to: { phase: 'aborted' }, verdict: 'hold', ...saidBy('aborted', event.by) })
    case 'promote':
      return promote(release, event)
    case 'resume':
      return resume(release, event)
    default:
      return event.kind satisfies never
  }
}

/** Past what evidence is waited for, never past what speaks against it: bake comes in any case, and ends early only by a second word. */
function promote(release: Release, event: Act): Stepped {
  const { to, policy, phase } = release
  const place = placeIn(release)
  if (place === 'draft' || (place === 'smoke' && release.smoke === null))
    return refuse(
      release,
      `${to} has not answered a single request yet (${place}). Wait until it has, or begin again with a policy without smoke test.`,
    )
  const said = { verdict: 'promote' as const, ...saidBy('promoted', event.by) }
  if (phase === 'bake') return decide(release, event, { to: { phase: 'live' }, ...said })
  const swap = policy.room === 'swap-idle' ? { swap: 'cut' as const } : {}
  const step = weightsOf(policy).length
  return decide(release, event, {
    to: { phase: 'bake', step, heldIn: null, promotedBy: event.by, ...swap },
    ...said,
  })
}

function resume(release: Release, event: Act): Stepped {
  const { phase, model, to, swap } = release
  if (phase !== 'held') return refuse(release, `The release of ${to} for ${model} is not held: it is in ${phase}.`)
  const place = placeIn(release)
  const hopeless = hopelessIn(release)
  if (hopeless !== null)
    return refuse(
      release,
      `${hopeless} Abort it, or promote it by hand if you know better: holdfast release abort|promote ${model}`,
    )
  const again = {
    phase: place,
    heldIn: null,
    ...(place === 'shadow' ? { rounds: (release.rounds ?? 0) + 1 } : {}),
    ...(place === 'smoke' && swap !== 'back' ? { smoke: null } : {}),
    ...(place === 'golden' && swap !== 'back' ? { golden: null } : {}),
    ...(place === 'draft' ? { smoke: null, golden: null } : {}),
  }
  return decide(release, event, { to: again, verdict: 'hold', ...saidBy('resumed', event.by) })
}

/** What it would be held for again at once. */
function hopelessIn(release: Release): string | null {
  if (release.verdict === 'void')
    return 'Its arms did not get their parts of the traffic, and what was counted stays counted.'
  if (release.verdict === 'judge-inadmissible' && placeIn(release) === 'shadow')
    return 'Its judge can not be believed, and what it said stays said: begin again with another judge.'
  return null
}

function saidBy(what: string, by: Actor): { why: string; by: Actor } {
  return { why: `${what} by ${by.alias ?? by.who}: ${by.reason}`, by }
}
