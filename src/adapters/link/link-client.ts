/** The link's far end: a gateway or an agent dials the controller, hears frames, and dials again when the line breaks. */
import type { IncomingMessage } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import type { Line } from './line.ts'

export type DialParts<Frame> = {
  line: Line
  /** Path and query to ask for, made anew for each call: it says what is already held. */
  path: () => string
  /** One at a time, in order. What it throws ends the line, and the next call starts from what is held then. */
  onFrame: (frame: Frame) => Promise<void> | void
  onConnected?: () => void
  /** Once for each reason while the line is down. `code`: the controller's, where it said one. */
  onLost?: (why: string, code: string | null) => void
  signal: AbortSignal
}

const firstRetryMs = 100
/** Well within the second that whoever revokes a key waits for gateways that were here a moment ago. */
const longestRetryMs = 500
/** The controller beats every second. */
const silenceMs = 5_000

/** Runs until `signal`. Never rejects: a controller that is away is normal life. */
export async function keepDialling<Frame>(parts: DialParts<Frame>): Promise<void> {
  let waitMs = firstRetryMs
  const said = new Set<string>()
  const onConnected = (): void => {
    said.clear()
    parts.onConnected?.()
  }
  while (!parts.signal.aborted) {
    try {
      await listen({ ...parts, onConnected }, () => {
        waitMs = firstRetryMs
      })
    } catch (error) {
      if (parts.signal.aborted) return
      const why = error instanceof Error ? error.message : String(error)
      if (!said.has(why)) parts.onLost?.(why, error instanceof Refused ? error.code : null)
      said.add(why)
      parts.line.next()
    }
    // Woken early when it is to stop.
    await pause(waitMs, undefined, { signal: parts.signal }).catch(() => {})
    waitMs = Math.min(longestRetryMs, waitMs * 2)
  }
}

/** POSTs JSON to the controller. Rejects, in the controller's own words, when it is not taken. */
export async function tell(line: Line, path: string, body: unknown): Promise<void> {
  const { status, text } = await send(line, path, { type: 'application/json', bytes: JSON.stringify(body) })
  if (status < 200 || status >= 300) throw new Error(messageOf(text) ?? `POST ${path} was answered with ${status}`)
}

/** POSTs, and resolves with the answer, whatever it is. Rejects when there is none. */
export function send(
  line: Line,
  path: string,
  { type, bytes }: { type: string; bytes: string | Uint8Array },
): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
  const headers = { 'content-type': type, 'content-length': Buffer.byteLength(bytes) }
  const call = line.request({ path, method: 'POST', headers, timeout: silenceMs }, answer => {
    let text = ''
    answer.setEncoding('utf8').on('data', (piece: string) => (text += piece))
    answer.once('end', () => resolve({ status: answer.statusCode ?? 0, text }))
    answer.once('error', reject)
  })
  call.on('timeout', () => call.destroy(new Error('the controller does not answer')))
  call.on('error', reject)
  call.end(bytes)
  return promise
}

async function listen<Frame>(
  { line, path, onFrame, onConnected, signal }: DialParts<Frame>,
  onTaken: () => void,
): Promise<void> {
  const answer = await dial(line, { path: path(), signal })
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

function dial(line: Line, ask: { path: string; signal: AbortSignal }): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  let open: { destroy(error: Error): unknown }
  const call = line.request({ ...ask, method: 'GET', timeout: silenceMs }, answer => {
    open = answer
    if (answer.statusCode === 200) resolve(answer)
    else void refused(answer).then(reject)
  })
  open = call
  // Counts while the answer is read, too: a line without beats is dead.
  call.on('timeout', () => open.destroy(new Error('the controller is silent')))
  call.on('error', reject)
  call.end()
  return promise
}

/** The controller says why in the words that its faults have. */
async function refused(answer: IncomingMessage): Promise<Error> {
  let text = ''
  try {
    for await (const piece of answer.setEncoding('utf8')) text += String(piece)
  } catch {
    // Cut short: the status says enough.
  }
  const said = saidIn(text)
  return new Refused(said?.message ?? `the controller answered ${answer.statusCode ?? 0}`, said?.code ?? null)
}

class Refused extends Error {
  readonly code: string | null
  constructor(message: string, code: string | null) {
    super(message)
    this.code = code
  }
}

/** What went wrong, in the controller's words; `null`: it said nothing. */
export const messageOf = (text: string): string | null => saidIn(text)?.message ?? null

const Said = z.object({ error: z.object({ message: z.string(), code: z.string().nullable().default(null) }) })

function saidIn(text: string): { message: string; code: string | null } | null {
  try {
    return Said.parse(JSON.parse(text)).error
  } catch {
    return null
  }
}
