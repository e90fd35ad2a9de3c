/** Ctrl-C and SIGTERM, for commands that serve until they are stopped; `hangUp`: SIGHUP, too. */

/** Under npm, Ctrl-C comes twice: from the terminal, and forwarded by npm. The second one is no second wish. */
const sameKeystrokeMs = 1000

/** Aborted by the first signal. Asked again: whoever asks does not want to wait. */
export function stopOnSignals({ hangUp = true } = {}): AbortSignal {
  const stop = new AbortController()
  let askedAt = 0
  const onSignal = (): void => {
    if (stop.signal.aborted && performance.now() - askedAt > sameKeystrokeMs) process.exit(130)
    if (!stop.signal.aborted) askedAt = performance.now()
    stop.abort()
  }
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, onSignal)
  if (hangUp) process.on('SIGHUP', onSignal)
  return stop.signal
}
