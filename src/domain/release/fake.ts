/** A small player for tests: a release, a clock, engines and evidence that one sentence each moves on. */
import { instant, millis, modelName, releaseId, share, versionName, type Instant, type Millis } from '../units.ts'
import { beginRelease } from './begin.ts'
import type { Effect, EngineState, Look, ReleaseEvent, Stepped } from './event.ts'
import { openEvidence, takeIn, type Evidence } from './evidence.ts'
import type {
  Actor,
  Arm,
  Baseline,
  Decision,
  EvidenceEvent,
  GoldenResult,
  JudgedPair,
  Policy,
  Release,
} from './release.ts'
import { step } from './step.ts'

export const minute = millis(60_000)

type CanaryPolicy = NonNullable<Policy['canary']>
export const canaryOf = (steps: number[], rest: Partial<CanaryPolicy> = {}): CanaryPolicy => ({
  ...{ steps: steps.map(share), minTime: minute, minRequests: 20, maxTime: millis(3_600_000), bake: millis(600_000) },
  stick: 'request',
  ...rest,
})

export function policyOf(parts: Partial<Policy> = {}): Policy {
  return {
    ...{ name: 'careful', room: 'beside', smoke: null, golden: null, shadow: null, canary: null },
    gates: { errors: null, firstToken: null, perToken: null, feedback: null },
    ...{ hooks: [], onTimeout: 'hold' },
    ...parts,
  }
}

type ShadowPolicy = NonNullable<Policy['shadow']>
export const shadowOf = (judge: string | null, rest: Partial<ShadowPolicy> = {}): ShadowPolicy => ({
  ...{ share: share(0.2), judge: judge === null ? null : modelName(judge) },
  ...{ margin: 0.1, maxPairs: 600, allowExternal: false },
  ...rest,
})

export const anna: Actor = { who: 'admin', alias: 'anna', reason: 'because' }
export const stratum = 'stream, up to 256'

export const baselineOf = (errorRate = 0.01, requests = 10_000): Baseline => ({
  at: instant(0),
  requests,
  errorRate,
  slow: { [stratum]: { firstTokenMs: 500, perTokenMs: 50, requests } },
})

type Outcome = { failed?: boolean; slow?: boolean; unit?: string; cancelled?: boolean; stratum?: string }

export type Player = ReturnType<typeof play>

/** Begins at minute 0 with both engines ready, an idle model and a long baseline. */
export function play(policy: Policy, given: { release?: Partial<Release>; liveLoads?: Millis } = {}) {
  const world: Omit<Look, 'kind' | 'now' | 'evidence'> & { now: Instant } = {
    now: instant(0),
    candidate: { state: 'ready', why: '' },
    live: { state: 'ready', why: '' },
    idle: true,
    baseline: baselineOf(),
    ...(given.liveLoads === undefined ? {} : { liveLoads: given.liveLoads }),
  }
  let release: Release = {
    ...beginRelease({
      id: releaseId('0198-release'),
      model: modelName('coder'),
      from: versionName('v1'),
      to: versionName('v2'),
      policy,
      origin: { kind: 'command' },
      by: anna,
      now: world.now,
      same: false,
      salt: 'salt',
      liveLoads: given.liveLoads ?? null,
    }),
    ...given.release,
  }
  let evidence = openEvidence(policy)
  let seq = 0
  const decisions: Decision[] = []
  const events: EvidenceEvent[] = []
  const effects: Effect[] = []

  const takeInOne = (event: EvidenceEvent): void => {
    events.push(event)
    takeIn(evidence, event, release.baseline)
  }
  const player = {
    world,
    decisions,
    events,
    effects,
    release: () => release,
    evidence: (): Evidence => evidence,
    /** Where it is, as `canary 2`. */
    at: () => (release.phase === 'canary' ? `canary ${release.step}` : release.phase),
    tell(event: ReleaseEvent): Stepped {
      const stepped = step(release, event)
      release = stepped.next
      effects.push(...stepped.effects)
      if (stepped.decision !== null) decisions.push({ ...stepped.decision, n: decisions.length + 1 })
      return stepped
    },
    look: () => player.tell({ kind: 'look', ...world, evidence }),
    /** Time passes, then somebody looks. */
    after(time: Millis) {
      world.now = instant(world.now + time)
      return player.look()
    },
    engine(state: EngineState['state'], of: Arm = 'candidate') {
      world[of === 'live' ? 'live' : 'candidate'] = { state, why: state === 'ready' ? '' : 'it says so' }
      return player
    },
    smoke: (passed: boolean) =>
      player.tell({
        kind: 'smoke-done',
        now: world.now,
        result: { at: world.now, passed, checks: [{ name: 'answers', passed, detail: passed ? 'OK' : 'HTTP 500' }] },
      }),
    golden: (verdict: GoldenResult['verdict']) =>
      player.tell({ kind: 'golden-done', now: world.now, result: goldenOf(verdict, world.now) }),
    by: (kind: 'promote' | 'abort' | 'resume', by: Actor = anna) => player.tell({ kind, now: world.now, by, evidence }),
    /** One after another, each its own unit unless it says. */
    requests(count: number, arm: Arm, outcome: Outcome = {}) {
      for (let at = 0; at < count; at++) {
        const unit = outcome.unit ?? `u${seq}`
        takeInOne({
          ...{ kind: 'request', seq: ++seq, at: world.now, step: release.step, arm, unit },
          ...{ failed: outcome.failed ?? false, cancelled: outcome.cancelled ?? false },
          stratum: outcome.stratum ?? stratum,
          firstTokenMs: outcome.slow ? 900 : 100,
          perTokenMs: outcome.slow ? 90 : 10,
        })
      }
      return player
    },
    feedback(arm: Arm, score: 1 | -1, unit = `u${seq}`) {
      takeInOne({ ...{ kind: 'feedback', seq: ++seq, at: world.now, step: release.step, arm, unit }, score })
      return player
    },
    lastPair(): JudgedPair {
      const last = events.findLast(event => event.kind === 'pair')
      return last?.kind === 'pair' ? last.pair : pairOf('tie')
    },
    /** One event as it is told here. */
    take(event: { kind: 'pair'; pair: JudgedPair }) {
      takeInOne({ ...event, seq: ++seq, at: world.now })
      return player
    },
    pairs(count: number, said: Parameters<typeof pairOf>[0]) {
      for (let at = 0; at < count; at++) takeInOne({ kind: 'pair', seq: ++seq, at: world.now, pair: pairOf(said) })
      return player
    },
    /** The controller is killed and starts again: only what was stored is left. */
    restart() {
      // What JSON leaves of a release is a release: that is what is tested.
      release = JSON.parse(JSON.stringify(release)) as Release
      evidence = openEvidence(release.policy)
      for (const event of events) takeIn(evidence, event, release.baseline)
      return player.tell({ kind: 'started-again', now: world.now })
    },
  }
  return player
}

export const said = (effects: readonly Effect[]): string[] => effects.map(effect => effect.do)

type Said = 'identical' | 'failed' | 'not-judged' | 'unreadable' | 'slot A' | Arm | 'tie'

/** Both orders say the same, but for a judge that loves slot A. */
function pairOf(what: Said): JudgedPair {
  const order = (candidateIn: 'A' | 'B'): JudgedPair['verdicts'][number] => ({
    winner: winnerOf(what, candidateIn),
    candidateIn,
    critical: false,
    reason: 'it is so',
  })
  const isJudged = what !== 'identical' && what !== 'failed' && what !== 'not-judged'
  return {
    verdicts: isJudged ? [order('B'), order('A')] : [],
    identical: what === 'identical',
    lengths: { live: 100, candidate: 100 },
    judge: 'general pair-1',
    ...(what === 'failed' ? { failed: true } : {}),
  }
}

function winnerOf(what: Said, candidateIn: 'A' | 'B'): Arm | 'tie' | null {
  if (what === 'slot A') return candidateIn === 'A' ? 'candidate' : 'live'
  return what === 'live' || what === 'candidate' || what === 'tie' ? what : null
}

function goldenOf(verdict: GoldenResult['verdict'], at: Instant): GoldenResult {
  return {
    ...{ at, verdict, why: `the golden set says ${verdict}`, cases: 40 },
    ...{ candidateScore: 0.8, liveScore: 0.8, smallestVisible: 0.02 },
  }
}
