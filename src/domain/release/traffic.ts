/** The phases in which clients meet the candidate: its part grows, or all is there and is watched. Rules: R12, R14, R15, R18 in SPEC.md. */
import { lasting, percent } from './figures.ts'
import type { Gate } from './gate.ts'
import { bakeOf } from './limits.ts'
import { changeBy, goTo, hold, waitInTime, type Next, type Seen } from './next.ts'
import { nextOf, shareAt, shareOf } from './plan.ts'
import type { Policy, Verdict } from './release.ts'

export function atTraffic(seen: Seen): Next {
  const { release, gates } = seen
  const { policy } = release
  const isForced = (release.promotedBy ?? null) !== null
  const next = nextOf(release)
  const needsProof = !isForced && (next.phase === 'live' || shareAt(policy, next.step) >= 1)

  const stop = isForced ? undefined : gates.find(gate => isInTheWay(gate, needsProof))
  if (stop !== undefined) return changeBy(hold(release, `${stop.name}: ${stop.read().evidence}`, stop.verdict))

  const open = gates.filter(gate => gate.verdict !== 'promote' && (needsProof || !gate.isProof))
  const awaited = isForced ? open.filter(gate => gate.name === 'time') : open
  if (awaited.length > 0) return waitInTime(seen, () => `waits for ${awaited.map(sayOpen).join('; ')}`)

  if (next.phase !== 'live') return goTo(next, whyOn(seen))
  const asks = waitInTime(seen, () => 'waits for the confirm hook to say yes')
  if (hasConfirm(policy) && release.confirmed !== true) return asks.do === 'wait' ? { ...asks, confirm: true } : asks
  return goTo({ phase: 'live' }, whyOn(seen))
}

export const hasConfirm = ({ hooks }: Policy): boolean => hooks.some(hook => hook.kind === 'confirm')

const isInTheWay = ({ verdict, isProof }: Gate, needsProof: boolean): boolean =>
  verdict === 'void' || (verdict === 'judge-inadmissible' && isProof && needsProof)

function sayOpen(gate: Gate): string {
  const { name, evidence, needed } = gate.read()
  return needed === undefined ? `${name} (${evidence})` : `${name} (about ${needed} more; ${evidence})`
}

function whyOn({ release, gates }: Seen): string {
  const passed = gates
    .filter(gate => gate.isProof && gate.verdict === ('promote' satisfies Verdict))
    .map(gate => gate.name)
  const where =
    release.phase === 'bake' ? `${lasting(bakeOf(release.policy))} with all traffic` : `at ${percent(shareOf(release))}`
  const proof =
    passed.length === 0 ? 'nothing speaks against it' : `nothing speaks against it; passed: ${passed.join(', ')}`
  return `${where}: ${proof}`
}
