/**
 * The model server behind every system: raw HTTP/1.1 over TCP, so that it costs as little of its core as possible.
 * `"stream":true` gets 50 chunks, or 250 when it says so, 20 ms apart, each with the time it was sent, or one and then
 * silence; everything else one JSON of 1 KB.
 */
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { chunkGapMs, chunksPerStream, idleMark, longChunks, model } from './workload.ts'

const words = 'The quick brown fox jumps over the lazy dog. '.repeat(16).trimEnd()
const answer = JSON.stringify({
  id: 'chatcmpl-bench',
  object: 'chat.completion',
  created: 1_700_000_000,
  model,
  choices: [{ index: 0, message: { role: 'assistant', content: words }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 200, completion_tokens: 160, total_tokens: 360 },
})
const whole = toResponse(answer)
const models = toResponse(JSON.stringify({ object: 'list', data: [{ id: model, object: 'model' }] }))
const streamHead = Buffer.from(
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n',
)
const idleBytes = Buffer.from(idleMark)
const streamMark = Buffer.from('"stream":true')
const longMark = Buffer.from(`"max_tokens":${longChunks}`)
const post = 'P'.charCodeAt(0)
let phase = 0
const headEnd = Buffer.from('\r\n\r\n')

const server = createServer({ noDelay: true }, socket => {
  let pending: Buffer = Buffer.alloc(0)
  socket.on('error', () => socket.destroy())
  socket.on('data', data => {
    pending = pending.length === 0 ? data : Buffer.concat([pending, data])
    while (pending.length > 0) {
      const length = requestLength(pending)
      if (length === null || pending.length < length) return
      const request = pending.subarray(0, length)
      pending = pending.subarray(length)
      if (request[0] !== post) socket.write(models)
      else if (request.includes(idleBytes)) startIdle(socket)
      else if (request.includes(streamMark)) stream(socket, request.includes(longMark) ? longChunks : chunksPerStream)
      else socket.write(whole)
    }
  })
})
server.listen(0, '127.0.0.1', 4096, () => {
  const address = server.address()
  if (address !== null && typeof address === 'object')
    process.stdout.write(`${JSON.stringify({ port: address.port })}\n`)
})
process.once('SIGTERM', () => process.exit(0))

/** Bytes of the first request in `data`; null when its head is not complete. Both `content-length` and chunks are read. */
function requestLength(data: Buffer): number | null {
  const end = data.indexOf(headEnd)
  if (end === -1) return null
  const head = data.toString('latin1', 0, end).toLowerCase()
  const body = end + headEnd.length
  if (head.includes('transfer-encoding: chunked')) {
    const last = data.indexOf('0\r\n\r\n', body)
    return last === -1 ? null : last + 5
  }
  return body + Number(/content-length: *(\d+)/.exec(head)?.[1] ?? 0)
}

function stream(socket: Socket, chunks: number): void {
  let sent = 0
  const send = (): void => {
    if (socket.destroyed) return clearInterval(timer)
    if (sent < chunks) {
      sent++
      socket.write(toChunk(`data: ${renderEvent(sent)}\n\n`))
    } else {
      clearInterval(timer)
      socket.write(`${toChunk('data: [DONE]\n\n')}0\r\n\r\n`)
    }
  }
  let timer = setTimeout(() => {
    timer = setInterval(send, chunkGapMs)
    send()
  }, nextPhaseMs())
  socket.write(streamHead)
}

function startIdle(socket: Socket): void {
  socket.write(streamHead)
  socket.write(toChunk(`data: ${renderEvent(1)}\n\n`))
}

/** Streams that begin together still send at different moments, as engines do. */
function nextPhaseMs(): number {
  phase = (phase + 7) % chunkGapMs
  return phase
}

/** The time is in the text: some gateways pass on nothing that they do not know. */
function renderEvent(index: number): string {
  return (
    `{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"${model}",` +
    `"choices":[{"index":0,"delta":{"content":" word${index} sent:${process.hrtime.bigint()}"},"finish_reason":null}]}`
  )
}

function toChunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
}

function toResponse(body: string): Buffer {
  return Buffer.from(
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}
