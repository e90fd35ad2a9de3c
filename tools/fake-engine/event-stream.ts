/** Writes server-sent events, in the pieces and with the line ends that the behaviour wants. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Behaviour } from './behaviour.ts'

export type EventStream = {
  send(data: string): Promise<void>
  end(): void
}

/** Sends the headers at once. Comments go on by themselves until the connection closes. */
export function openEventStream(
  res: ServerResponse,
  headers: Record<string, string>,
  { behaviour, signal }: { behaviour: Behaviour; signal: AbortSignal },
): EventStream {
  const lineEnd = behaviour.crlf ? '\r\n' : '\n'
  const comment = `:${lineEnd}${lineEnd}`
  res.writeHead(200, headers)
  res.flushHeaders()
  if (behaviour.pingMs !== null) {
    const pinging = setInterval(() => res.write(comment), behaviour.pingMs)
    res.once('close', () => clearInterval(pinging))
  }

  const write = async (piece: string | Buffer): Promise<void> => {
    signal.throwIfAborted()
    if (!res.write(piece)) await once(res, 'drain', { signal })
  }
  const writeInPieces = async (text: string, bytes: number): Promise<void> => {
    for (const piece of cut(Buffer.from(text), bytes)) {
      await write(piece)
      // What is written in one turn of the loop leaves as one packet.
      await nextTurn()
    }
  }
  return {
    send(data) {
      const text = `${comment.repeat(behaviour.comments)}data: ${data}${lineEnd}${lineEnd}`
      return behaviour.chunkBytes === null ? write(text) : writeInPieces(text, behaviour.chunkBytes)
    },
    end: () => void res.end(),
  }
}

function cut(bytes: Buffer, length: number): Buffer[] {
  const pieces = Array.from({ length: Math.ceil(bytes.length / length) })
  return pieces.map((_, at) => bytes.subarray(at * length, (at + 1) * length))
}
