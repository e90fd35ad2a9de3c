/** Verifies the audit trail: every epoch's chain, against what the controller saw of it. */
import { epochStart, openVerifier } from '../domain/journal/index.ts'
import type { Anchor, Broken, Intact, JournalReader, Verification } from '../domain/journal/index.ts'

export type Audit =
  | { result: 'intact'; epochs: Intact[] }
  /** `findings`: the first of each broken epoch. */
  | { result: 'broken'; findings: Broken[]; epochs: Intact[] }

/**
 * Recomputes all chains. Read `anchors` from the store before calling this, so that none is newer than the files.
 * An unsealed tail is not broken: a live gateway seals it in a moment, or the next one's repair does.
 */
export async function verifyAudit({
  journal,
  anchors,
  signal,
}: {
  journal: JournalReader
  anchors: readonly Anchor[]
  signal?: AbortSignal
}): Promise<Audit> {
  const byEpoch = Map.groupBy(anchors, anchor => anchor.epoch)
  const epochs = [...new Set([...(await journal.epochs()), ...byEpoch.keys()])].sort()
  const results: Verification[] = []
  for (const epoch of epochs) {
    signal?.throwIfAborted()
    results.push(await verifyEpoch(journal, epoch, byEpoch.get(epoch) ?? []))
  }
  const findings = results.filter(result => result.result === 'broken')
  const intact = results.filter(result => result.result === 'intact')
  return findings.length > 0 ? { result: 'broken', findings, epochs: intact } : { result: 'intact', epochs: intact }
}

async function verifyEpoch(journal: JournalReader, epoch: string, anchors: readonly Anchor[]): Promise<Verification> {
  const verifier = openVerifier({ epoch, newDigest: journal.newDigest, anchors })
  let from = epochStart
  for (;;) {
    const reading = await journal.read(epoch, from)
    let broken: Broken | null = null
    switch (reading.kind) {
      case 'lines':
        for (const line of reading.lines) {
          broken = verifier.line(line, from.segment)
          if (broken) return broken
        }
        break
      case 'segment-end':
        broken = reading.torn ? verifier.torn(from.segment, false) : null
        break
      case 'segment-missing':
        broken = verifier.segmentMissing(reading.segment)
        break
      case 'tail':
        return (reading.torn ? verifier.torn(from.segment, true) : null) ?? verifier.finish()
      case 'epoch-missing':
        return {
          result: 'broken',
          epoch,
          segment: 0,
          line: 0,
          what: 'missing-epoch',
          detail: 'The whole epoch is gone.',
        }
      default:
        return reading satisfies never
    }
    if (broken) return broken
    from = reading.next
  }
}
