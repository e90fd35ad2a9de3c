/** Requests hidden in others: however a body's end is told, what is in the body is never served as a request. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { rawPost, sendRaw } from '../support/raw-http.ts'
import { adminKey, startService, type Service } from '../support/service.ts'

const auth = { authorization: `Bearer ${adminKey}` }
const chat = (content: string) => ({ model: 'coder', messages: [{ role: 'user', content }] })

let engine: FakeEngine
let service: Service
let port: number

beforeAll(async () => {
  engine = await startFakeEngine({ name: 'coder' })
  service = await startService({ flags: ['--engine', engine.url] })
  port = Number(new URL(service.url).port)
})
afterAll(async () => {
  await service?.stop()
  await engine?.close()
})

const hidden = rawPost('/v1/chat/completions', JSON.stringify(chat('smuggled')), auth).toString('latin1')
const start = `POST /v1/chat/completions HTTP/1.1\r\nhost: holdfast\r\nauthorization: Bearer ${adminKey}\r\ncontent-type: application/json\r\n`
const asChunk = `${Buffer.byteLength(hidden).toString(16)}\r\n${hidden}\r\n0\r\n\r\n`
const shapes: Record<string, string> = {
  'a length and chunks': `${start}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n${asChunk}`,
  'chunks and a length': `${start}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n${hidden}`,
  'two lengths': `${start}content-length: 0\r\ncontent-length: ${hidden.length}\r\n\r\n${hidden}`,
  'two equal lengths': `${start}content-length: 5\r\ncontent-length: 5\r\n\r\nhello${hidden}`,
  'a list of lengths': `${start}content-length: 5, 5\r\n\r\nhello${hidden}`,
  'a signed length': `${start}content-length: +5\r\n\r\nhello${hidden}`,
  'a negative length': `${start}content-length: -1\r\n\r\n${hidden}`,
  'a length in hex': `${start}content-length: 0x5\r\n\r\nhello${hidden}`,
  'a length beyond 64 bits': `${start}content-length: 99999999999999999999999\r\n\r\n${hidden}`,
  'an unknown coding': `${start}transfer-encoding: xchunked\r\n\r\n${asChunk}`,
  'chunked, and another coding after it': `${start}transfer-encoding: chunked, identity\r\n\r\n${asChunk}`,
  'two codings in two headers': `${start}transfer-encoding: chunked\r\ntransfer-encoding: x\r\n\r\n${asChunk}`,
  'a coding after a vertical tab': `${start}transfer-encoding: \x0bchunked\r\n\r\n${asChunk}`,
  'a space before the colon': `${start}transfer-encoding : chunked\r\n\r\n${asChunk}`,
  'a folded header': `${start}transfer-encoding:\r\n chunked\r\n\r\n${asChunk}`,
  'a chunk size that is no number': `${start}transfer-encoding: chunked\r\n\r\nzz\r\n${hidden}`,
  'a chunk size with a prefix': `${start}transfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n${hidden}`,
  'a negative chunk size': `${start}transfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n${hidden}`,
  'a chunk size beyond 64 bits': `${start}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n${hidden}`,
  'a chunk longer than it says': `${start}transfer-encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n${hidden}`,
  'bare line feeds': `${start}content-length: 0\r\n\r\n${hidden}`.replaceAll('\r\n', '\n'),
  'a bare carriage return in a header': `${start}x: a\rcontent-length: 0\r\n\r\n${hidden}`,
  'a NUL in a header': `${start}x: a\0b\r\ncontent-length: 0\r\n\r\n${hidden}`,
  'a header without a name': `${start}: x\r\ncontent-length: 0\r\n\r\n${hidden}`,
}

test.each(Object.entries(shapes))(
  '%s: refused, the connection ended, nothing hidden is served',
  async (_name, bytes) => {
    const { statuses, closed } = await sendRaw(port, bytes)
    expect(statuses).toEqual([400])
    expect(closed).toBe(true)
    expect(JSON.stringify(engine.state().lastRequests)).not.toContain('smuggled')
  },
)

test.each(Object.entries(shapes))(
  '%s: refused as well behind a plain request and in front of one, and only what stands before it is answered',
  async (_name, bytes) => {
    const plain = rawPost('/v1/chat/completions', JSON.stringify(chat('plain')), auth).toString('latin1')
    const [behind, before] = await Promise.all([sendRaw(port, plain + bytes), sendRaw(port, bytes + plain)])
    expect([behind.statuses, behind.closed]).toEqual([[200, 400], true])
    expect([before.statuses, before.closed]).toEqual([[400], true])
    expect(JSON.stringify(engine.state().lastRequests)).not.toContain('smuggled')
  },
)

test('a body on GET reaches the controller as a body, not as a second request', async () => {
  const link = 'GET /link/v1/gateway?gateway=smuggled HTTP/1.1\r\nhost: x\r\n\r\n'
  const chunk = `${link.length.toString(16)}\r\n${link}\r\n0\r\n\r\n`
  const many = Array.from({ length: 110 }, (_, i) => `x-${i}: y\r\n`).join('')
  const bodies = [
    `GET /api/v1/openapi.json HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${chunk}`,
    `GET /api/v1/openapi.json HTTP/1.1\r\nhost: x\r\n${many}transfer-encoding: chunked\r\n\r\n${chunk}`,
    `GET /api/v1/openapi.json HTTP/1.1\r\nhost: x\r\n${many}content-length: ${link.length}\r\n\r\n${link}`,
    `DELETE /api/v1/keys/x HTTP/1.1\r\nhost: x\r\n${many}transfer-encoding: chunked\r\n\r\n${chunk}`,
    `HEAD /api/v1/openapi.json HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${chunk}`,
    ...['/user/info', '/v2/model/info', '/v1/model/info', '/spend/logs', '/v2/../link/v1/gateway'].flatMap(path => [
      `GET ${path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${chunk}`,
      `GET ${path} HTTP/1.1\r\nhost: x\r\n${many}content-length: ${link.length}\r\n\r\n${link}`,
    ]),
  ]
  const answers = await Promise.all(bodies.map(bytes => sendRaw(port, bytes, { readMs: 1_000 })))
  for (const { statuses } of answers) expect(statuses).toHaveLength(1)
  const { stdout } = await service.cli('status', '--json')
  expect(stdout).not.toContain('smuggled')
})

test.each([
  'GET /v1/responses/resp_x',
  'DELETE /v1/responses/resp_x',
  'GET /v1/models',
  'GET /metrics',
  'PUT /v1/messages',
])('a body on %s is nobody’s request', async line => {
  const head = `${line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${adminKey}\r\n`
  const told = [`content-length: ${hidden.length}\r\n\r\n${hidden}`, `transfer-encoding: chunked\r\n\r\n${asChunk}`]
  for (const body of told) {
    const { statuses } = await sendRaw(port, head + body, { readMs: 500 })
    expect(statuses).toHaveLength(1)
  }
  expect(JSON.stringify(engine.state().lastRequests)).not.toContain('smuggled')
})

test.each(['/v1/messages', '/v1/responses', '/v1/rerank', '/v1/audio/speech', '/v1/audio/transcriptions'])(
  '%s: a body that is told in two ways is refused, and one that is refused is not a request',
  async path => {
    const to = start.replace('/v1/chat/completions', path)
    for (const bytes of [
      `${to}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n${asChunk}`,
      `${to}content-length: ${hidden.length}\r\n\r\n${hidden}`,
      `${to}transfer-encoding: chunked\r\n\r\n${asChunk}`,
    ]) {
      const { statuses } = await sendRaw(port, bytes, { readMs: 500 })
      expect(statuses).toEqual([400])
    }
    expect(JSON.stringify(engine.state().lastRequests)).not.toContain('smuggled')
  },
)

test('what is hidden here is served when it is sent openly', async () => {
  const { statuses } = await sendRaw(port, hidden, { until: text => text.includes('finish_reason') })
  expect(statuses).toEqual([200])
  expect(JSON.stringify(engine.state().lastRequests)).toContain('smuggled')
})
