/** Sends an answer that is not a stream. */
import type { ServerResponse } from 'node:http'
import type { Dialect, Reply } from './dialects/index.ts'

type Writer = Pick<Dialect, 'headers' | 'jsonType'>

export function reply(res: ServerResponse, { headers, jsonType }: Writer, answer: Reply): void {
  const { type, content } = toContent(answer.body, jsonType)
  const told = answer.type ?? type
  res.writeHead(answer.status, {
    ...headers,
    ...answer.headers,
    ...(told === null ? {} : { 'content-type': told }),
    'content-length': Buffer.byteLength(content),
  })
  res.end(content)
}

function toContent(body: unknown, jsonType: string): { type: string | null; content: string | Buffer } {
  if (body === undefined) return { type: null, content: '' }
  if (Buffer.isBuffer(body)) return { type: 'application/octet-stream', content: body }
  if (typeof body === 'string') return { type: 'text/plain; charset=utf-8', content: body }
  return { type: jsonType, content: JSON.stringify(body) }
}
