/** The worker thread that holds a SQLite connection: statements in, results out, in order. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Result, Statement } from './dialect.ts'
import { openExecutor } from './executor.ts'
import type { SqliteFile } from './executor.ts'

export type Asked = { id: number; ask: Statement | 'close' }
export type Answered =
  | { id: number; result: Result }
  | { id: number; error: { message: string; code: string | undefined } }

if (!parentPort) throw new Error('This file is a worker: start it with openWorkerExecutor.')
const port = parentPort
// `openWorkerExecutor` gives it.
const executor = openExecutor(workerData as SqliteFile)

port.on('message', async ({ id, ask }: Asked) => {
  try {
    if (ask === 'close') {
      await executor.close()
      port.postMessage({ id, result: { rows: [], changes: 0 } } satisfies Answered)
      port.close()
    } else {
      port.postMessage({ id, result: await executor.run(ask) } satisfies Answered)
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
    port.postMessage({ id, error: { message, code } } satisfies Answered)
  }
})
