/** Ctrl-C: a terminal tells it to the service and the engines too, so nothing can be judged then; all there is to do is to end them. */

/** Whatever `work` gives, unless `signal` aborts first: then it rejects, and `work` is left to end by itself. */
export async function unlessStopped<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) return work
  // What fails after the stop fails because of it.
  work.catch(() => {})
  const { promise, reject } = Promise.withResolvers<never>()
  const stop = (): void => reject(new Error('stopped'))
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  return Promise.race([work, promise])
}

/** Runs a program's work until its end or the first SIGINT or SIGTERM, of which a second one changes nothing. */
export async function untilStopped<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopping.abort())
  try {
    return await work(stopping.signal)
  } catch (error) {
    if (!stopping.signal.aborted) throw error
    console.error('Stopped: everything that was started has been ended, and nothing was judged.')
    process.exit(130)
  }
}
