/** A release: one version of a model replacing another. What it is, what it asks for, and what is known of it. */
import type { ControlResult } from '../evaluation/index.ts'
import type { Instant, KeyId, Millis, ModelName, ReleaseId, Share, VersionName } from '../units.ts'

/** product.md's words. `live`: promoted. The last three are ends; `held` waits for a person. */
export type Phase =
  | 'draft'
  | 'smoke'
  | 'golden'
  | 'shadow'
  | 'canary'
  | 'bake'
  | 'live'
  | 'held'
  | 'aborted'
  | 'rolled-back'

/** Which version answers. */
export type Arm = 'live' | 'candidate'

/** What evidence says. `void`: it can't be believed. Nothing but `promote` ever promotes. */
export type Verdict = 'promote' | 'rollback' | 'hold' | 'void' | 'judge-inadmissible'

/** What the new version must prove: the spec's `releases.<name>`, as it was when the release began. */
export type Policy = {
  /** Its name in the spec; `null`: the model has none, so that it is hard stops only. */
  name: string | null
  room: 'beside' | 'swap-idle'
  smoke: { prompts: number } | null
  golden: { set: string; margin: number; repeats: number; judge: ModelName | null; embed: ModelName | null } | null
  shadow: { share: Share; judge: ModelName | null; margin: number; maxPairs: number; allowExternal: boolean } | null
  canary: {
    steps: Share[]
    minTime: Millis
    minRequests: number
    maxTime: Millis
    bake: Millis
    stick: Stickiness
  } | null
  /** `null`: not tested. */
  gates: {
    errors: { margin: number } | null
    firstToken: { ratio: number } | null
    perToken: { ratio: number } | null
    feedback: { ratio: number } | null
  }
  hooks: Hook[]
  onTimeout: 'hold' | 'rollback'
}

export type Stickiness = 'conversation' | 'user' | 'key' | 'request'

/** `event`: told of each transition. `confirm`: asked before promotion, which waits until it answers 2xx. */
export type Hook = { kind: 'event' | 'confirm'; url: string; secret: string | null }

/** Who wanted something, and why. */
export type Actor = { who: KeyId | 'admin' | 'controller'; alias: string | null; reason: string }

export type Release = {
  id: ReleaseId
  model: ModelName
  from: VersionName
  to: VersionName
  policy: Policy
  /** `spec`: its `live` was changed, at this digest of it. */
  origin: { kind: 'spec'; digest: string } | { kind: 'command' }
  by: Actor
  startedAt: Instant
  /** The same digest under two names: to calibrate. */
  same: boolean
  /** Of the assignment: other releases put other units first. */
  salt: string
  phase: Phase
  /** When the phase, or the canary's step, began. */
  since: Instant
  /** Which of the canary's steps; 0 before it. */
  step: number
  /** Where it was when it was held, to go on from there. */
  heldIn: Exclude<Phase, 'held'> | null
  /** Set when the candidate has met its live traffic for the first time: what slow and too many errors mean. */
  baseline: Baseline | null
  smoke: SmokeResult | null
  golden: GoldenResult | null
  verdict: Verdict
  /** One sentence for people: why it is where it is. */
  why: string
  /** The gates as they stood at the last decision. */
  gates: GateReading[]
  /** Since when the candidate's engine has not answered although it should. */
  unreadySince?: Instant | null
  /** A `confirm` hook said yes. */
  confirmed?: boolean
  /** Who sent all traffic to it without waiting for evidence: from there on only what speaks against it counts. */
  promotedBy?: Actor | null
  /** With room for one: what the room is used for. */
  swap?: Swap | null
  /** How often `maxPairs` was granted. */
  rounds?: number
  /** It is live, and that was written down as what answers: later changes of the spec come after it. */
  settled?: boolean
}

/**
 * `waiting` for an idle window; `trying`: the candidate alone has the room, the live version rests; `back`: the live one has it
 * again and the next idle window is waited for; `cut`: the candidate has it for good.
 */
export type Swap = 'waiting' | 'trying' | 'back' | 'cut'

/** How the live version did before the candidate had any of its traffic. Frozen, so that tests stay valid at any look. */
export type Baseline = {
  at: Instant
  requests: number
  /** Share of failed requests. */
  errorRate: number
  /** By stratum: what 95 % of the requests are faster than. */
  slow: Record<string, { firstTokenMs: number | null; perTokenMs: number | null; requests: number }>
}

export type GateReading = {
  /** `errors`, `first-token`, `per-token`, `feedback`, `judge`, `golden`, `smoke`, `sample-ratio`, `hard-stops`, `requests`, `time`. */
  name: string
  verdict: Verdict
  /** Of being worse; above `threshold` it fails. */
  eValue?: number
  threshold?: number
  /** Of being no worse than its margin; above `threshold` it has passed. */
  notWorse?: { eValue: number; threshold: number }
  /** How many more requests, units or pairs until it can be told, at what was seen so far; absent: nobody can say. */
  needed?: number
  /** In words, with its numbers. */
  evidence: string
}

export type SmokeResult = {
  at: Instant
  passed: boolean
  checks: { name: string; passed: boolean; detail: string }[]
}

/** What the golden set said; whole rows are kept beside the release, by `id`. */
export type GoldenResult = {
  at: Instant
  verdict: 'pass' | 'fail' | 'inconclusive' | 'judge-inadmissible'
  why: string
  cases: number
  /** Means, 0 to 1; `null`: nothing was measured. */
  candidateScore: number | null
  liveScore: number | null
  /** Smallest regression that this set could have seen. */
  smallestVisible: number | null
}

/** Something that happened to requests of a release, in the order the controller took it in. */
export type EvidenceEvent =
  | {
      kind: 'request'
      seq: number
      at: Instant
      step: number
      arm: Arm
      /** What was assigned: a digest of the conversation, user, key or request. */
      unit: string
      failed: boolean
      /** The client left before it ended: no failure, but it may have been slow. */
      cancelled: boolean
      stratum: string
      /** Until the first byte; while none came, until the end. */
      firstTokenMs: number | null
      perTokenMs: number | null
    }
  | {
      kind: 'feedback'
      seq: number
      at: Instant
      step: number
      arm: Arm
      unit: string
      score: 1 | -1
    }
  | { kind: 'pair'; seq: number; at: Instant; pair: JudgedPair }

/** A pair of answers to one request, judged in both orders. */
export type JudgedPair = {
  /** Each verdict with the slot that the candidate's answer had; `null`: not readable. */
  verdicts: { winner: Arm | 'tie' | null; candidateIn: 'A' | 'B'; critical: boolean; reason: string }[]
  /** Equal but for spaces: no judge was asked. */
  identical: boolean
  /** In characters. */
  lengths: Record<Arm, number>
  /** Pins: the judge's version and the digest of its instructions. */
  judge: string
  /** The candidate gave no answer: nothing was judged. */
  failed?: boolean
  /** Questions with a known answer that the judge was asked beside it. */
  controls?: readonly ControlResult[]
}

/** A transition, with everything that it was decided from, so that it can be decided again. */
export type Decision = {
  release: ReleaseId
  n: number
  at: Instant
  from: { phase: Phase; step: number }
  to: { phase: Phase; step: number }
  share: Share
  verdict: Verdict
  why: string
  by: Actor
  gates: GateReading[]
  /** All evidence up to this one. */
  seq: number
  /** Counts, thresholds and seeds that the gates were computed from. */
  inputs: Record<string, unknown>
}
