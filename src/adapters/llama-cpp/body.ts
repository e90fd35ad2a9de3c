/** Request bodies: read once, bounded, UTF-8, JSON. */
import type { IncomingMessage } from 'node:http'
import { FaultError } from '../../domain/fault.ts'
import { bytes } from '../../domain/units.ts'

const bodyLimit = bytes(32 * 1024 * 1024)

export async function readJson(request: IncomingMessage): Promise<unknown> {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity')
    throw new FaultError({ kind: 'body-encoding-unsupported', encoding })
  const tooLarge = { kind: 'body-too-large', limit: bodyLimit } as const
  if (Number(request.headers['content-length'] ?? 0) > bodyLimit) throw new FaultError(tooLarge)
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    // Without setEncoding a request yields buffers.
    const buffer = chunk as Buffer
    size += buffer.length
    if (size > bodyLimit) throw new FaultError(tooLarge)
    chunks.push(buffer)
  }
  return parseJson(Buffer.concat(chunks))
}

function parseJson(body: Uint8Array): unknown {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch (cause) {
    throw new FaultError({ kind: 'body-not-utf8' }, { cause })
  }
  try {
    return JSON.parse(text)
  } catch (cause) {
    // V8's message quotes the body, which may hold a prompt: it goes to the client, whose body it is, and to no log.
    throw new FaultError(
      { kind: 'body-not-json', detail: cause instanceof Error ? cause.message : 'it does not parse' },
      { cause },
    )
  }
}
