/** A gateway's journal in a process of its own, to be killed: writes records and says what was acknowledged. */
import { writeSync } from 'node:fs'
import { openJournal } from '../../src/adapters/journal/index.ts'
import { instant, requestId } from '../../src/domain/units.ts'
import { aClose, anOpen } from './records.ts'

const [folder = '', run = '', mode = ''] = process.argv.slice(2)
const journal = openJournal({
  folder,
  now: () => instant(Date.now()),
  whenUnwritable: 'refuse',
  segmentBytes: 20_000,
  sealAfterMs: 2,
  // Shown, so that the parent can wait for it.
  onProblem: problem => {
    say(`problem ${problem}`)
  },
})
// Straight to the pipe: what stdout still buffered would die with the process.
const say = (line: string): void => {
  writeSync(1, `${line}\n`)
}

let count = 0
const acknowledged =
  (what: string, id: string) =>
  (error?: Error): void =>
    say(`${error ? 'refused' : what} ${id}`)

/** Requests as they come: some turns bring several, and every fifth stays open. */
function turn(): void {
  for (let more = count % 4; more >= 0; more--) {
    const id = `${run}-${String(++count).padStart(6, '0')}`
    journal.append(anOpen(id), acknowledged('open', id))
    if (count % 5 !== 0)
      setImmediate(() => journal.append(aClose(id, { at: instant(Date.now()) }), acknowledged('close', id)))
  }
  if (mode !== 'until-refused' || journal.healthy) setTimeout(turn, 1)
  else say(`unhealthy ${requestId(run)}`)
}
turn()
