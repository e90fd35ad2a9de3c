/** Takes the journal into the store: tails every epoch, each record once. */
import { epochStart } from '../domain/journal/index.ts'
import type { Batch, JournalReader, Line, Position, RequestStore } from '../domain/journal/index.ts'

export type IngestPorts = {
  journal: JournalReader
  store: Pick<RequestStore, 'position' | 'ingest' | 'epochs'>
  onProblem: (problem: string) => void
}

/** Reads on until the signal. Rejects only with what the store or the disk throws; calling it again resumes. */
export async function ingestJournal({
  journal,
  store,
  onProblem,
  signal,
  wake,
  beginPass,
}: IngestPorts & {
  signal: AbortSignal
  /** Resolves when it is time to look again. */
  wake: () => Promise<void>
  /** Called as a pass begins; what it returns, once all that was in the journal then is in the store. */
  beginPass?: () => () => void
}): Promise<void> {
  const pass = await openPass({ journal, store, onProblem })
  while (!signal.aborted) {
    const done = beginPass?.()
    if (!(await pass(signal))) return
    done?.()
    await wake()
  }
}

/** One pass over all epochs that are not done; false when it was stopped half-way. */
async function openPass({
  journal,
  store,
  onProblem,
}: IngestPorts): Promise<(signal: AbortSignal) => Promise<boolean>> {
  const known = await store.epochs()
  const done = new Set(known.filter(row => row.ended).map(row => row.epoch))
  const positions = new Map<string, Position>(known.map(row => [row.epoch, row.position]))

  return async signal => {
    for (const epoch of await journal.epochs()) {
      while (!done.has(epoch)) {
        if (signal.aborted) return false
        const from = positions.get(epoch) ?? epochStart
        const batch = await readBatch(epoch, from)
        if (!batch) break
        // An anchor must not outlive its block in a power cut, nor a position its line: the journal first, then the store.
        await journal.settle(epoch, from.segment)
        const result = await store.ingest(batch)
        positions.set(epoch, result.applied ? batch.to : (result.position ?? epochStart))
        if (result.applied && batch.ended) done.add(epoch)
      }
    }
    return true
  }

  async function readBatch(epoch: string, from: Position): Promise<Batch | null> {
    const reading = await journal.read(epoch, from)
    switch (reading.kind) {
      case 'lines':
        return { epoch, from, to: reading.next, ...sortLines(reading.lines, epoch, from) }
      case 'segment-missing':
        onProblem(
          `Segment ${reading.segment} of the journal's epoch ${epoch} is gone; what it held is not in the store.`,
        )
        return { epoch, from, to: reading.next, records: [], anchors: [], ended: false }
      case 'segment-end':
        return { epoch, from, to: reading.next, records: [], anchors: [], ended: false }
      case 'tail':
      case 'epoch-missing':
        return null
      default:
        return reading satisfies never
    }
  }

  function sortLines(lines: Line[], epoch: string, from: Position): Pick<Batch, 'records' | 'anchors' | 'ended'> {
    const records: Batch['records'] = []
    const anchors: Batch['anchors'] = []
    let ended = false
    for (const line of lines) {
      const record = journal.parse(line.text)
      if (record === null) {
        onProblem(`A line of the journal is no record; it is passed over: epoch ${epoch}, segment ${from.segment}.`)
      } else if (record.t === 'block') {
        anchors.push({ segment: record.segment, n: record.n, hash: record.hash })
        if (record.end) ended = true
      } else if (record.t !== 'erased') {
        records.push(record)
      }
    }
    return { records, anchors, ended }
  }
}
