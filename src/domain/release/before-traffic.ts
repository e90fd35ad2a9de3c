/** The phases before a client's request reaches the candidate. Rules: R6–R11, R21–R23 in SPEC.md. */
import { goingBack } from './begin.ts'
import { counted } from './figures.ts'
import { limits } from './limits.ts'
import { changeBy, goTo, hold, waitInTime, type Next, type Seen } from './next.ts'
import { nextOf } from './plan.ts'
import type { Baseline, Policy } from './release.ts'
import { strataOf } from './slow.ts'

export function atDraft(seen: Seen): Next {
  const { release, at } = seen
  if (release.swap !== 'waiting') return goOn(seen, `${release.to} is loaded`)
  if (!at.idle) return waitInTime(seen, () => `waits for an idle window. ${goingBack(at.liveLoads ?? null)}`)
  const why = `Idle: ${release.from} makes room, so that ${release.to} can be tried alone. ${goingBack(at.liveLoads ?? null)}`
  return goTo({ swap: 'trying' }, why)
}

/** The result itself moved it on, or ended it: what is left to wait for is the room, the live version, an idle window. */
export function atTrial(seen: Seen): Next {
  const { phase, smoke, golden } = seen.release
  if (phase === 'smoke' && smoke === null) return waitInTime(seen, () => 'the smoke test is running')
  if (phase === 'golden' && golden === null) return waitInTime(seen, () => 'the golden set is running')
  return goOn(seen, `${phase} passed`)
}

export function atShadow(seen: Seen): Next {
  const { release, at, gates } = seen
  const gate = gates.find(each => each.name === 'judge' || each.name === 'pairs')
  if (gate === undefined) return goOn(seen, 'there is no room for copies')
  const { evidence, needed } = gate.read()
  if (gate.verdict === 'promote') return goOn(seen, `shadow: ${evidence}`)
  if (gate.verdict === 'judge-inadmissible') return changeBy(hold(release, `shadow: ${evidence}`, 'judge-inadmissible'))
  const granted = (release.policy.shadow?.maxPairs ?? 0) * (1 + (release.rounds ?? 0))
  if (at.evidence.judged.answered < granted)
    return waitInTime(seen, () => `waits for copies to be answered and judged: ${evidence}`)
  const more = needed === undefined ? 'more would hardly tell' : `about ${counted(needed, 'pair')} more might tell`
  return changeBy(hold(release, `shadow: no verdict after ${counted(granted, 'pair')}; ${more}. ${evidence}`))
}

/** Into the next phase. Clients' requests only get to the candidate with something to measure it by. */
function goOn(seen: Seen, why: string): Next {
  const { release, at } = seen
  const { phase, step } = nextOf(release)
  if (phase !== 'canary' && phase !== 'bake') return goTo({ phase, step }, why)
  const lacks = lacksBaseline(release.policy, at.baseline)
  if (lacks !== null) return waitInTime(seen, () => `${why}; ${lacks}`)
  const entry = { phase, step, baseline: at.baseline }
  switch (release.swap) {
    case 'back':
      return at.live.state === 'ready' && at.idle
        ? goTo({ ...entry, swap: 'cut' }, `${why}; idle: ${release.to} takes over. ${goingBack(at.liveLoads ?? null)}`)
        : waitInTime(seen, () => `${why}; waits for an idle window in which ${release.to} can take over`)
    case 'trying':
      // Tried by nothing: it has the room already. After a trial its result put the live version back.
      return goTo({ ...entry, swap: 'cut' }, `${why}; it takes over`)
    default:
      return goTo(entry, why)
  }
}

function lacksBaseline({ gates }: Policy, baseline: Baseline | null): string | null {
  const latencies = (['firstToken', 'perToken'] as const).filter(latency => gates[latency] !== null)
  if (latencies.every(latency => strataOf(baseline, latency).tested.length > 0)) return null
  const most = Math.max(0, ...Object.values(baseline?.slow ?? {}).map(({ requests }) => requests))
  return (
    `what slow means is not known yet: the live version must have answered ${limits.baselineRequests} requests ` +
    `of one kind (prompt length, streaming), and answered ${most}`
  )
}
