/** Verifies the audit trail: every epoch's chain, against what the controller saw of it, and every erasure against its act. */
import { openVerifier } from '../domain/journal/index.ts'
import type {
  Anchor,
  Broken,
  Cover,
  Intact,
  JournalReader,
  Removal,
  Tombstones,
  Verification,
} from '../domain/journal/index.ts'

export type Audit =
  | { result: 'intact'; epochs: Intact[] }
  /** `findings`: the first of each broken epoch. */
  | { result: 'broken'; findings: Broken[]; epochs: Intact[] }

export type AuditParts = {
  journal: JournalReader
  anchors: readonly Anchor[]
  /** What retention took. */
  removals?: readonly Removal[]
  /** Epochs that a controller began. */
  epochsOfActs?: readonly string[]
  signal?: AbortSignal
}

/**
 * Recomputes all chains. Read what comes from the store before calling this, so that none of it is newer than the files,
 * and let nobody erase or remove meanwhile. An unsealed tail is not broken: a live writer seals it in a moment, or the next
 * one's repair does.
 */
export async function verifyAudit({
  journal,
  anchors,
  removals = [],
  epochsOfActs = [],
  signal,
}: AuditParts): Promise<Audit> {
  const byEpoch = Map.groupBy(anchors, anchor => anchor.epoch)
  const removed = new Map(removals.map(removal => [removal.epoch, removal]))
  const partly = removals.filter(removal => !removal.whole).map(removal => removal.epoch)
  const epochs = [...new Set([...(await journal.epochs()), ...byEpoch.keys(), ...partly])]
    .filter(epoch => removed.get(epoch)?.whole !== true)
    .sort()
  const mayAct = new Set(epochsOfActs)
  const results: Verification[] = []
  for (const epoch of epochs) {
    signal?.throwIfAborted()
    results.push(
      await verifyEpoch(journal, {
        epoch,
        anchors: byEpoch.get(epoch) ?? [],
        removed: removed.get(epoch) ?? null,
        mayAct: mayAct.has(epoch),
      }),
    )
  }
  const checked = checkErasures(results, removed)
  const findings = checked.filter(result => result.result === 'broken')
  const intact = checked.filter(result => result.result === 'intact')
  return findings.length > 0 ? { result: 'broken', findings, epochs: intact } : { result: 'intact', epochs: intact }
}

/** Every tombstone is vouched for by a sealed act, and every such act has its tombstones, unless retention took them. */
function checkErasures(results: readonly Verification[], removed: ReadonlyMap<string, Removal>): Verification[] {
  const covers = new Map<string, Cover>()
  for (const result of results) {
    if (result.result === 'intact') for (const cover of result.covers) covers.set(cover.act, cover)
  }
  const coversOf = Map.groupBy(covers.values(), cover => cover.epoch)
  return results.map(result => {
    if (result.result === 'broken') return result
    const { epoch, tombstones } = result
    const broken = (what: Broken['what'], at: { segment: number; line: number }, detail: string): Broken => ({
      result: 'broken',
      epoch,
      segment: at.segment,
      line: at.line,
      what,
      detail,
    })
    const forged = tombstones.find(found => !isCovered(found, covers.get(found.act)))
    if (forged) {
      const detail = `${forged.lines === 1 ? 'A line is' : `${forged.lines} lines are`} erased from here on in the name of act ${forged.act}, and no act in the journal vouches for exactly these.`
      return broken('forged', forged, detail)
    }
    const present = new Set(tombstones.map(found => found.act))
    const restored = (coversOf.get(epoch) ?? []).find(
      cover => !present.has(cover.act) && cover.segment > (removed.get(epoch)?.segment ?? 0),
    )
    if (!restored) return result
    const detail = `${restored.lines} lines that act ${restored.act} erased stand here again.`
    return broken('restored', { segment: restored.segment, line: 0 }, detail)
  })
}

const isCovered = (found: Tombstones, cover: Cover | undefined): boolean =>
  cover !== undefined &&
  cover.epoch === found.epoch &&
  cover.segment === found.segment &&
  cover.lines === found.lines &&
  cover.digest === found.digest

/** One epoch's chain. Whether its tombstones are covered is not looked at. */
async function verifyEpoch(
  journal: JournalReader,
  {
    epoch,
    anchors,
    removed,
    mayAct,
  }: { epoch: string; anchors: readonly Anchor[]; removed: Removal | null; mayAct: boolean },
): Promise<Verification> {
  const { newDigest, digestOf, parse } = journal
  const verifier = openVerifier({ epoch, newDigest, digestOf, parse, anchors, removed, mayAct })
  let from = { segment: (removed?.segment ?? 0) + 1, offset: 0 }
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
