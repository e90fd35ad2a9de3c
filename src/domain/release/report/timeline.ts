/** How the evidence of a release grew: folded once more, and looked at now and then. */
import type { Instant } from '../../units.ts'
import { openEvidence, takeIn } from '../evidence.ts'
import { readGates } from '../gates.ts'
import type { Arm, EvidenceEvent, Release } from '../release.ts'

export type Timeline = {
  /** Of each gate that has one: its e-value as a power of ten, over time. */
  eValues: { gate: string; threshold: number; points: [at: number, log10: number][] }[]
  /** In milliseconds, sorted. */
  times: Record<Arm, { firstToken: number[]; perToken: number[]; requests: number; failed: number }>
  /** Of the evidence. */
  span: { from: Instant; to: Instant } | null
}

/** Points of a line. */
const looks = 120
/** Times of each arm that are kept: every so-many-th when there are more. */
const mostTimes = 20_000

export function timelineOf(release: Release, events: readonly EvidenceEvent[]): Timeline {
  const evidence = openEvidence(release.policy)
  const every = Math.max(1, Math.floor(events.length / looks))
  const lines = new Map<string, Timeline['eValues'][number]>()
  const none = () => ({ firstToken: [] as number[], perToken: [] as number[], requests: 0, failed: 0 })
  const times = { live: none(), candidate: none() }
  const stride = Math.max(1, Math.ceil(events.length / mostTimes))
  // They are taken in as they come, and an answer that took long is told of after later ones.
  let latest: Instant | null = null
  for (const [n, event] of events.entries()) {
    takeIn(evidence, event, release.baseline)
    if (latest === null || event.at > latest) latest = event.at
    if (event.kind === 'request') addTimes(times[event.arm], event, n % stride === 0)
    if ((n + 1) % every === 0 || n === events.length - 1) addPoints(lines, readGates(release, evidence, latest), latest)
  }
  for (const each of [times.live, times.candidate]) {
    each.firstToken.sort((a, b) => a - b)
    each.perToken.sort((a, b) => a - b)
  }
  const [first] = events
  return {
    eValues: [...lines.values()],
    times,
    span: first === undefined || latest === null ? null : { from: first.at, to: latest },
  }
}

function addTimes(
  arm: Timeline['times'][Arm],
  { failed, firstTokenMs, perTokenMs }: Extract<EvidenceEvent, { kind: 'request' }>,
  isKept: boolean,
): void {
  arm.requests++
  if (failed) arm.failed++
  if (isKept && firstTokenMs !== null) arm.firstToken.push(firstTokenMs)
  if (isKept && perTokenMs !== null) arm.perToken.push(perTokenMs)
}

function addPoints(lines: Map<string, Timeline['eValues'][number]>, gates: Release['gates'], at: Instant): void {
  for (const { name, eValue, threshold } of gates) {
    if (eValue === undefined || threshold === undefined) continue
    const line = lines.get(name) ?? { gate: name, threshold, points: [] }
    line.points.push([at, Math.log10(Math.max(eValue, 1e-6))])
    lines.set(name, line)
  }
}
