/** Segments that are written and taken in: these may be changed or go, since nobody stands in them any more. */
import type { EpochRow, JournalReader, Removal } from '../../domain/journal/index.ts'
import { openVerifier } from '../../domain/journal/index.ts'
import type { Broken, Cover, Head } from '../../domain/journal/index.ts'

/** A segment is closed once ingestion has gone on to a later one, or to the epoch's end. */
export const isClosed = ({ position, ended }: EpochRow, segment: number): boolean =>
  segment < position.segment || (ended && segment === position.segment)

/** When an epoch began, by its name (a UUIDv7). */
export const beganAt = (epoch: string): number => Number.parseInt(epoch.slice(0, 8) + epoch.slice(9, 13), 16)

export type CheckedSegment =
  /** `newest`: when its last request or act arrived; `null`: nothing in it says. */
  { ok: true; newest: number | null; head: Head; covers: Cover[] } | { ok: false; broken: Broken }

/** Goes along one segment's chain, from where retention last came. */
export async function checkSegment(
  journal: JournalReader,
  { epoch, segment, before, anchor }: { epoch: string; segment: number; before: Removal | null; anchor: Head | null },
): Promise<CheckedSegment> {
  const { newDigest, digestOf, parse } = journal
  const anchors = anchor === null ? [] : [{ epoch, segment, ...anchor }]
  // Whether acts may stand here, verification tells.
  const verifier = openVerifier({ epoch, newDigest, digestOf, parse, anchors, removed: before, mayAct: true })
  let newest: number | null = null
  for (let offset = 0; ;) {
    const reading = await journal.read(epoch, { segment, offset })
    if (reading.kind !== 'lines') break
    for (const line of reading.lines) {
      const broken = verifier.line(line, segment)
      if (broken) return { ok: false, broken }
      const at = timeOf(line.text)
      if (at !== null && at > (newest ?? 0)) newest = at
    }
    offset = reading.next.offset
  }
  const end = verifier.finish()
  if (end.result === 'broken') return { ok: false, broken: end }
  if (end.unsealed === 0) return { ok: true, newest, head: end.head, covers: end.covers }
  const detail = `Segment ${segment} ends in ${end.unsealed} lines without their block.`
  return { ok: false, broken: { result: 'broken', epoch, segment, line: end.lines, what: 'cut', detail } }
}

/** When what a line tells of arrived. The field stands near the line's start, where nothing that clients choose does. */
export function timeOf(text: string): number | null {
  const found = /^\{"t":"[a-z]+",(?:"id":"[^"\\]*",)?"at":(\d{1,15})[,}]/.exec(text)?.[1]
  return found === undefined ? null : Number(found)
}
