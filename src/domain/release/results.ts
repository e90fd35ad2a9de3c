/** Results that come back: of the smoke test, the golden set, the confirm hook. Rules: R7, R18, R21 in SPEC.md. */
import { decide, unchanged } from './decide.ts'
import type { ReleaseEvent, Stepped } from './event.ts'
import { hold, rollBack } from './next.ts'
import { nextOf } from './plan.ts'
import type { Release } from './release.ts'
import { hasConfirm } from './traffic.ts'

type Result<Kind> = Extract<ReleaseEvent, { kind: Kind }>

export function smokeDone(release: Release, event: Result<'smoke-done'>): Stepped {
  if (release.phase !== 'smoke' || release.smoke !== null) return unchanged(release)
  const { result } = event
  if (result.passed) return passed({ ...release, smoke: result }, event, 'smoke: passed')
  const failed = result.checks.filter(check => !check.passed).map(({ name, detail }) => `${name} (${detail})`)
  return decide(
    { ...release, smoke: result },
    event,
    rollBack(`smoke: failed ${failed.join('; ') || 'without a check'}`),
  )
}

export function goldenDone(release: Release, event: Result<'golden-done'>): Stepped {
  if (release.phase !== 'golden' || release.golden !== null) return unchanged(release)
  const { result } = event
  const known = { ...release, golden: result }
  const why = `golden: ${result.why}`
  switch (result.verdict) {
    case 'pass':
      return passed(known, event, why)
    case 'fail':
      return decide(known, event, rollBack(why))
    case 'inconclusive':
      return decide(known, event, hold(release, why))
    case 'judge-inadmissible':
      return decide(known, event, hold(release, why, 'judge-inadmissible'))
    default:
      return result.verdict satisfies never
  }
}

/** A no is no end: it is asked again, until the phase's time is over. */
export function confirmAnswered(release: Release, event: Result<'confirm-answered'>): Stepped {
  const isAsked = release.phase === 'bake' && release.confirmed !== true && hasConfirm(release.policy)
  if (!isAsked || !event.ok) return unchanged(release)
  return decide(release, event, { to: { confirmed: true }, verdict: 'promote', why: `confirmed: ${event.detail}` })
}

/** On into what needs no traffic; into traffic only a look leads. A candidate that was tried alone gives the room back. */
function passed(known: Release, event: Result<'smoke-done' | 'golden-done'>, why: string): Stepped {
  const next = nextOf(known)
  const isTraffic = next.phase === 'canary' || next.phase === 'bake'
  if (!isTraffic) return decide(known, event, { to: next, verdict: 'promote', why })
  if (known.swap !== 'trying') return decide(known, event, { to: {}, verdict: 'promote', why })
  return decide(known, event, {
    to: { swap: 'back' },
    verdict: 'promote',
    why: `${why}; ${known.from} gets its room back`,
  })
}
