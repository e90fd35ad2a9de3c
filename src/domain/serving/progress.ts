/**
 * Progress: whether a replica that says it is healthy gets anything done. An engine whose core hangs goes on answering
 * its health route, so only work that moves proves it. Rules G1–G7 in SPEC.md.
 */
import { millis, type Millis, type Tokens } from '../units.ts'
import type { EngineLoad } from './engine-load.ts'

/** What was seen of a replica at one moment. */
export type Sighting = {
  /** Requests of ours that it is serving. */
  inFlight: number
  /** Pieces of answers we have had from it, ever. */
  pieces: number
  /** Tokens of the longest prompt of ours whose answer has not begun; 0: none waits. */
  waitingPrompt: Tokens
  load: EngineLoad | null
}

export type Progress = {
  /** What moves when work is done, as last seen. */
  mark: string
  /** When it last moved, or the replica last had nothing to do. */
  movedAt: Millis
  /** How fast it takes prompts in, tokens a second, as measured on our own requests; `null`: not measured yet. */
  prefillRate: number | null
}

export type ProgressLimits = {
  /** Busy for this long without a token taken in or made is a stall. */
  stall: Millis
}

/** What a slow engine on a CPU still does, tokens a second: until its own speed is known, a prompt is given that long. */
const slowestPrefill = 50
/** A rate measured on one prompt says little about the next, which may wait behind another. */
const patience = 4

/** An image counts by its bytes, so a prompt can look far longer than it is. */
const longestPrefillMs = 600_000

export const noProgress = (now: Millis): Progress => ({ mark: '', movedAt: now, prefillRate: null })

/** What is known after a sighting. `now` is a clock that never goes back. */
export function stepProgress(progress: Progress, seen: Sighting, now: Millis): Progress {
  const mark = markOf(seen)
  if (mark === progress.mark && isBusy(seen)) return progress
  return { ...progress, mark, movedAt: now }
}

/** Learns from a request whose answer began: how fast the prompt went in. Slower ones count at once, faster ones slowly. */
export function learnPrefill(progress: Progress, prompt: Tokens, waited: Millis): Progress {
  if (prompt < 256 || waited <= 0) return progress
  const rate = (prompt * 1000) / waited
  const known = progress.prefillRate ?? rate
  return { ...progress, prefillRate: rate < known ? rate : known + (rate - known) / 8 }
}

/** Why the replica is taken for stalled; `null`: it is not. */
export function stallOf(
  progress: Progress,
  seen: Sighting,
  { stall, now }: ProgressLimits & { now: Millis },
): string | null {
  if (!isBusy(seen) || !counts(seen)) return null
  const allowed = stall + expectedPrefill(seen.waitingPrompt, progress.prefillRate)
  const still = now - progress.movedAt
  if (still < allowed) return null
  return `it has been busy for ${Math.round(still / 1000)} s without taking in or making a token (it may hang, although it says it is healthy)`
}

/** How long a prompt may take before its first token, at the least speed that is still work. */
export function expectedPrefill(prompt: Tokens, rate: number | null): Millis {
  const slowest = rate === null ? slowestPrefill : Math.max(slowestPrefill, rate / patience)
  return millis(Math.min(longestPrefillMs, (prompt * 1000) / slowest))
}

/** Its own word counts, and ours: requests of others keep an engine busy too. */
export function isBusy({ inFlight, load }: Sighting): boolean {
  return inFlight > 0 || (load?.running ?? 0) + (load?.waiting ?? 0) > 0
}

/** Only counters tell a stall from a long answer that comes as one piece. */
const counts = ({ load }: Sighting): boolean => load !== null && (load.promptTokens ?? load.generatedTokens) !== null

function markOf({ pieces, load }: Sighting): string {
  return `${pieces} ${load?.promptTokens ?? ''} ${load?.generatedTokens ?? ''}`
}
