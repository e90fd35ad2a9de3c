/** What a service's journal holds, read from its files: the one account that no process of the service can embellish. */
import { createReadStream, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { JournalRecord } from '../../src/domain/journal/index.ts'

/** Every line, epoch by epoch, in the order it was written. A last line without its end is one that was never written. */
export async function eachRecord(home: string, take: (record: JournalRecord) => void): Promise<void> {
  const folder = join(home, 'journal')
  for (const epoch of readdirSync(folder).toSorted()) {
    if (epoch.startsWith('.')) continue
    const segments = readdirSync(join(folder, epoch)).filter(file => file.endsWith('.jsonl'))
    for (const segment of segments.toSorted()) {
      for await (const line of createInterface({ input: createReadStream(join(folder, epoch, segment)) })) {
        const record = parse(line)
        if (record !== null) take(record)
      }
    }
  }
}

function parse(line: string): JournalRecord | null {
  try {
    // Written by the gateway under test, whose own reader (`holdfast audit verify`) is run over the same bytes.
    return JSON.parse(line) as JournalRecord
  } catch {
    return null
  }
}
