/** The link's far end: a gateway or an agent dials the controller, hears frames, and dials again when the line breaks. */
import { request, type IncomingMessage } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'

export type DialParts<Frame> = {
  socketPath: string
  /** Path and query to ask for, made anew for each call: it says what is already held. */
  path: () => string
  /** One at a time, in order. What it throws ends the line, and the next call starts from what is held then. */
  onFrame: (frame: Frame) => Promise<void> | void
  onConnected?: () => void
  onLost?: (why: string) => void
  signal: AbortSignal
}

const firstRetryMs = 100
const longestRetryMs = 2_000
/** The controller beats every second. */
const silenceMs = 5_000

/** Runs until `signal`. Never rejects: a controller that is away is normal life. */
export async function keepDialling<Frame>(parts: DialParts<Frame>): Promise<void> {
  let waitMs = firstRetryMs
  while (!parts.signal.aborted) {
    try {
      await listen(parts, () => {
        waitMs = firstRetryMs
      })
    } catch (error) {
      if (parts.signal.aborted) return
      parts.onLost?.(error instanceof Error ? error.message : String(error))
    }
    // Woken early when it is to stop.
    await pause(waitMs, undefined, { signal: parts.signal }).catch(() => {})
    waitMs = Math.min(longestRetryMs, waitMs * 2)
  }
}

/** POSTs JSON to the controller. Rejects when it is not taken. */
export function tell(socketPath: string, path: string, body: unknown): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const call = request(
    { socketPath, path, method: 'POST', headers: { 'content-type': 'application/json' }, timeout: silenceMs },
    answer => {
      answer.resume()
      const status = answer.statusCode ?? 0
      if (status >= 200 && status < 300) resolve()
      else reject(new Error(`POST ${path} was answered with ${status}`))
    },
  )
  call.on('timeout', () => call.destroy(new Error('the controller does not answer')))
  call.on('error', reject)
  call.end(JSON.stringify(body))
  return promise
}

async function listen<Frame>(
  { socketPath, path, onFrame, onConnected, signal }: DialParts<Frame>,
  onTaken: () => void,
): Promise<void> {
  const answer = await dial({ socketPath, path: path(), signal })
  onConnected?.()
  let rest = ''
  answer.setEncoding('utf8')
  for await (const chunk of answer) {
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.pop() ?? ''
    // The controller is the only writer of this socket, and both ends are one program.
    for (const line of lines) {
      if (line === '') continue
      await onFrame(JSON.parse(line) as Frame)
      // Not before: what can't be taken would be sent ten times a second.
      onTaken()
    }
  }
  throw new Error('the controller closed the link')
}

function dial(parts: { socketPath: string; path: string; signal: AbortSignal }): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  let line: { destroy(error: Error): unknown }
  const call = request({ ...parts, method: 'GET', timeout: silenceMs }, answer => {
    line = answer
    if (answer.statusCode === 200) resolve(answer)
    else {
      answer.resume()
      reject(new Error(`the controller answered ${answer.statusCode ?? 0}`))
    }
  })
  line = call
  // Counts while the answer is read, too: a line without beats is dead.
  call.on('timeout', () => line.destroy(new Error('the controller is silent')))
  call.on('error', reject)
  call.end()
  return promise
}
