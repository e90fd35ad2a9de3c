/** The worker thread that takes the journal into the database: a composition root of its own. */
import { parentPort, workerData } from 'node:worker_threads'
import { openJournalReader } from '../adapters/journal/index.ts'
import { ingestJournal } from '../services/ingest-journal.ts'
import { openIngestStore, type StoreAccess } from './store.ts'

export type IngestSource = {
  store: StoreAccess
  journalFolder: string
  /** How often to look for new records. */
  pollMs: number
}
export type ToIngest = { ask: 'catch-up'; id: number } | { ask: 'stop' }
/** `working`: all that was in the journal at the start is in the store. */
export type FromIngest = { say: 'working' } | { say: 'caught-up'; id: number } | { say: 'problem'; problem: string }

if (!parentPort) throw new Error('This file is a worker: start it with startIngestWorker.')
const port = parentPort
// `startIngestWorker` gives it.
const { store: access, journalFolder, pollMs } = workerData as IngestSource
const stop = new AbortController()
let asked: number[] = []
let wakeNow: (() => void) | null = null

port.on('message', (message: ToIngest) => {
  if (message.ask === 'stop') stop.abort()
  else asked.push(message.id)
  wakeNow?.()
})

let isWorking = false

const tell = (message: FromIngest): void => port.postMessage(message)
const store = await openIngestStore(access)
try {
  await ingestJournal({
    journal: openJournalReader({ folder: journalFolder }),
    store: store.requests,
    signal: stop.signal,
    onProblem: problem => tell({ say: 'problem', problem }),
    beginPass() {
      const answering = asked
      asked = []
      return () => {
        if (!isWorking) tell({ say: 'working' })
        isWorking = true
        for (const id of answering) tell({ say: 'caught-up', id })
      }
    },
    wake: () =>
      new Promise<void>(resolve => {
        if (asked.length > 0 || stop.signal.aborted) return resolve()
        const timer = setTimeout(resolve, pollMs)
        wakeNow = () => {
          clearTimeout(timer)
          resolve()
        }
      }),
  })
} finally {
  await store.close()
  port.close()
}
