/** What the journal's records say to a release: who was assigned what, and how it went. */
import type { CloseRecord } from '../journal/index.ts'
import type { EvidenceEvent } from './release.ts'
import type { ServedRequest } from './ports.ts'

type RequestEvidence = Omit<Extract<EvidenceEvent, { kind: 'request' }>, 'seq'>

/** How it went, as far as its version can be blamed. */
type Served = Pick<
  CloseRecord,
  'outcome' | 'stream' | 'inputTokens' | 'outputTokens' | 'ttftMs' | 'totalMs' | 'attempts'
>

/** `null`: its model was in no release, or no engine was asked, so that it says nothing of a version. */
export function evidenceOf(record: CloseRecord): RequestEvidence | null {
  const { release, at, outcome, version } = record
  if (release === undefined || record.attempts === 0) return null
  const served = servedRequest(record)
  return {
    kind: 'request',
    at,
    step: release.step,
    arm: release.arm,
    unit: release.unit,
    ...served,
    // Another version answered because this arm's could not.
    failed: served.failed || (outcome === 'ok' && version !== release.version),
    cancelled: outcome === 'cancelled',
  }
}

/** A refusal counts: the engine was asked and refused, and whether it does is the version's doing. */
export function servedRequest(record: Served): ServedRequest {
  const { outcome, stream, inputTokens, outputTokens, ttftMs, totalMs } = record
  const cancelled = outcome === 'cancelled'
  return {
    failed: outcome !== 'ok' && !cancelled,
    stratum: stratumOf(stream, inputTokens),
    // Who left without a byte had waited at least so long.
    firstTokenMs: ttftMs ?? (cancelled ? totalMs : null),
    perTokenMs: perToken({ stream, outputTokens, ttftMs, totalMs }),
  }
}

/** Too few tokens say nothing of their pace. */
const fewestTokens = 8

function perToken({
  stream,
  outputTokens,
  ttftMs,
  totalMs,
}: Pick<Served, 'stream' | 'outputTokens' | 'ttftMs' | 'totalMs'>): number | null {
  if (!stream || ttftMs === null || outputTokens === null || outputTokens < fewestTokens) return null
  return (totalMs - ttftMs) / (outputTokens - 1)
}

/** Upper bounds of prompt lengths that are compared with each other, in tokens. */
const lengths = [256, 1024, 4096, 16_384, 65_536]

/** Long prompts and whole answers take longer with any version: like is compared with like. */
function stratumOf(stream: boolean, inputTokens: number | null): string {
  return `${stream ? 'stream' : 'whole'}, ${promptLength(inputTokens)}`
}

function promptLength(tokens: number | null): string {
  if (tokens === null) return 'unknown'
  const bound = lengths.find(length => tokens <= length)
  return bound === undefined ? 'longer' : `up to ${bound}`
}
