/** Runs ingestion beside the controller's event loop, in a worker thread that is started again when it fails. */
import { Worker } from 'node:worker_threads'
import type { FromIngest, IngestSource, ToIngest } from './ingest-worker.ts'

type IngestOptions = Omit<IngestSource, 'pollMs'> & {
  onProblem: (problem: string, cause: unknown) => void
  pollMs?: number
}

export type IngestWorker = {
  /**
   * Resolves once everything that was in the journal when this was called is in the database.
   * Rejects when ingestion stops or fails meanwhile.
   */
  caughtUp(): Promise<void>
  /** Ends after the batch in hand. */
  stop(): Promise<void>
}

const restartAfterMs = 1_000
const longestRestartMs = 10_000

export function startIngestWorker({ store, journalFolder, onProblem, pollMs = 100 }: IngestOptions): IngestWorker {
  const waiting = new Map<number, { resolve: () => void; reject: (error: Error) => void }>()
  let lastId = 0
  let stopping = false
  let restart: NodeJS.Timeout | null = null
  let waitMs = restartAfterMs
  let lastTold = ''
  let worker: Worker | null = start()

  function start(): Worker {
    restart = null
    const started = new Worker(new URL('./ingest-worker.ts', import.meta.url), {
      workerData: { store, journalFolder, pollMs } satisfies IngestSource,
      execArgv: ['--disable-warning=ExperimentalWarning'],
    })
    started.on('message', (message: FromIngest) => {
      if (message.say === 'problem') return onProblem(message.problem, null)
      if (message.say === 'working') {
        waitMs = restartAfterMs
        lastTold = ''
        return
      }
      waiting.get(message.id)?.resolve()
      waiting.delete(message.id)
    })
    started.on('error', error => {
      // A database that is away for an hour is one problem.
      if (String(error) !== lastTold)
        onProblem('Taking the journal into the database failed; it is tried again.', error)
      lastTold = String(error)
    })
    started.on('exit', () => {
      worker = null
      for (const { reject } of waiting.values()) reject(new Error('Ingestion of the journal stopped.'))
      waiting.clear()
      if (!stopping)
        restart = setTimeout(() => {
          worker = start()
        }, waitMs)
      waitMs = Math.min(longestRestartMs, waitMs * 2)
    })
    return started
  }

  const tell = (message: ToIngest): void => worker?.postMessage(message)

  return {
    caughtUp: () =>
      new Promise((resolve, reject) => {
        if (!worker) return reject(new Error('Ingestion of the journal is not running now.'))
        const id = ++lastId
        waiting.set(id, { resolve, reject })
        tell({ ask: 'catch-up', id })
      }),
    async stop() {
      stopping = true
      if (restart) clearTimeout(restart)
      if (!worker) return
      const ended = new Promise(resolve => worker?.once('exit', resolve))
      tell({ ask: 'stop' })
      await ended
    },
  }
}
