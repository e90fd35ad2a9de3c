/** Runs statements on a SQLite file in a worker thread, so that no disk holds up the event loop. */
import { Worker } from 'node:worker_threads'
import type { Executor, Result } from './dialect.ts'
import type { SqliteFile } from './executor.ts'
import type { Answered, Asked } from './worker.ts'

type Waiting = { resolve: (result: Result) => void; reject: (error: Error) => void }

export function openWorkerExecutor(file: SqliteFile): Executor {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    workerData: file,
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  const waiting = new Map<number, Waiting>()
  let lastId = 0
  let gone: Error | null = null

  const fail = (error: Error): void => {
    gone ??= error
    for (const { reject } of waiting.values()) reject(gone)
    waiting.clear()
  }
  worker.on('error', error => fail(error instanceof Error ? error : new Error(String(error))))
  worker.on('exit', () => fail(new Error('The database is closed.')))
  worker.on('message', (answer: Answered) => {
    const asker = waiting.get(answer.id)
    waiting.delete(answer.id)
    if ('result' in answer) asker?.resolve(answer.result)
    else asker?.reject(Object.assign(new Error(answer.error.message), { code: answer.error.code }))
  })

  const ask = (what: Asked['ask']): Promise<Result> =>
    new Promise((resolve, reject) => {
      if (gone) return reject(gone)
      const id = ++lastId
      waiting.set(id, { resolve, reject })
      worker.postMessage({ id, ask: what } satisfies Asked)
    })

  return {
    run: ask,
    async close() {
      if (gone) return
      const ended = new Promise(resolve => worker.once('exit', resolve))
      await ask('close')
      await ended
    },
  }
}
