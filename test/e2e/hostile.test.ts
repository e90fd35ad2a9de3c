/** Clients that mean harm, or know no better: the service answers what it can, refuses the rest, and goes on. */
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { rawPost, sendRaw, type RawAnswer } from '../support/raw-http.ts'
import { adminKey, startService, type Process, type Service } from '../support/service.ts'
import { residentMib, until } from '../support/settled.ts'

const auth = { authorization: `Bearer ${adminKey}` }
const chat = (content: unknown, more: object = {}) => ({
  model: 'coder',
  messages: [{ role: 'user', content }],
  ...more,
})
const bodyLimit = 1024 * 1024
/** Made before anything is started: it takes a second, in which the fake engine, beside it, would answer nobody. */
const anyText = fc.string({ unit: 'binary', maxLength: 40 })

const spec = (engineUrl: string): string => `
apiVersion: holdfast/v1
name: hostile
gateway: { limits: { body: 1MiB } }
versions:
  - name: dev-v1.0-fake-fp16-p0
    engine: { kind: openai }
    replicas: [{ id: fake, url: "${engineUrl}/v1" }]
models:
  - { name: coder, live: dev-v1.0-fake-fp16-p0 }
`

let engine: FakeEngine
let service: Service
let port: number
let before: { processes: Process[]; gatewayMib: number }
/** Takes longest, so it starts first: a head sent byte by byte. */
let dribbledHead: Promise<RawAnswer>

beforeAll(async () => {
  engine = await startFakeEngine()
  service = await startService({ spec: spec(engine.url) })
  port = Number(new URL(service.url).port)
  await Promise.all(Array.from({ length: 50 }, () => goodAnswer()))
  const processes = await service.processes()
  before = { processes, gatewayMib: residentMib(pidOf(processes, 'gateway')) }
  dribbledHead = dribble()
})
afterAll(async () => {
  await service?.stop()
  await engine?.close()
})

const pidOf = (processes: Process[], role: string): number =>
  processes.find(process => process.role === role)?.pid ?? -1

async function goodAnswer(): Promise<void> {
  const answer = await service.call('/v1/chat/completions', chat('hello'))
  expect(answer.status, await answer.text()).toBe(200)
}

/** A slow-loris: one header byte each half second. */
function dribble(): Promise<RawAnswer> {
  const { promise, resolve } = Promise.withResolvers<RawAnswer>()
  const startedMs = performance.now()
  const socket = connect(port, '127.0.0.1')
  const head = `GET /health HTTP/1.1\r\nhost: holdfast\r\nx-slow: ${'z'.repeat(1000)}`
  let sent = 0
  let text = ''
  const timer = setInterval(() => socket.write(head.charAt(sent++)), 500)
  const settle = (closed: boolean): void => {
    clearInterval(timer)
    clearTimeout(patience)
    socket.destroy()
    resolve({ text, closed, statuses: [], tookMs: performance.now() - startedMs })
  }
  const patience = setTimeout(() => settle(false), 20_000)
  socket.on('data', data => {
    text += data.toString('latin1')
  })
  socket.on('error', () => {})
  socket.on('close', () => settle(true))
  return promise
}

/** An error as every one must look: four keys, and nothing of how it came about. */
function expectFault(text: string): void {
  const { error } = JSON.parse(text) as { error: Record<string, unknown> }
  expect(Object.keys(error).toSorted(), text).toEqual(['code', 'message', 'param', 'type'])
  expect(text).not.toMatch(/node:internal|\.ts:\d|at Object\./)
}

async function expectTaken(path: string, body: string | Buffer): Promise<number> {
  const answer = await service.call(path, undefined, { method: 'POST', body: new Uint8Array(Buffer.from(body)) })
  const text = await answer.text()
  expect(answer.status, `${path} ${body.toString().slice(0, 300)} → ${text.slice(0, 300)}`).toBeLessThan(500)
  if (answer.status >= 400) expectFault(text)
  return answer.status
}

describe('bodies', () => {
  test('a body that ends before its length is nobody’s request', async () => {
    const received = engine.state().received
    const body = JSON.stringify(chat('truncated'))
    const cut = (more: { halfClose: boolean }) =>
      sendRaw(port, rawPost('/v1/chat/completions', body, { ...auth, 'content-length': '5000' }), {
        readMs: 500,
        ...more,
      })
    const answers = await Promise.all([cut({ halfClose: true }), cut({ halfClose: false })])
    for (const { statuses } of answers) expect(statuses.every(status => status === 400)).toBe(true)
    expect(engine.state().received).toBe(received)
  })

  test('a body over the limit is 413 and its sender gets to read it, declared or chunked', async () => {
    const large = Buffer.alloc(5 * bodyLimit, 0x20)
    const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000, 0x20), Buffer.from('\r\n')])
    const declared = rawPost('/v1/chat/completions', large, { ...auth, connection: 'close' })
    const head = rawPost('/v1/chat/completions', '', { ...auth, 'transfer-encoding': 'chunked', 'connection': 'close' })
    const chunked = [head, ...Array.from({ length: 80 }, () => chunk), '0\r\n\r\n']
    for (const { text, statuses } of await Promise.all([sendRaw(port, declared), sendRaw(port, chunked)])) {
      expect(statuses).toEqual([413])
      expect(text).toContain(`larger than the ${bodyLimit} bytes`)
    }
  })

  test('a large administrative body is 413 too', async () => {
    const answer = await service.call('/api/v1/keys', { metadata: { a: 'x'.repeat(3 * bodyLimit) } })
    expect(answer.status).toBe(413)
    expectFault(await answer.text())
  })

  test('Expect: 100-continue is answered before the body comes', async () => {
    const body = JSON.stringify(chat('expected'))
    const request = rawPost('/v1/chat/completions', body, { ...auth, expect: '100-continue', connection: 'close' })
    const { text, statuses } = await sendRaw(port, request)
    expect(text).toMatch(/^HTTP\/1\.1 100 /)
    expect(statuses).toEqual([200])
  })

  test('bytes that are not UTF-8, NULs, lone surrogates, doubled and magic keys are refused or passed on whole', async () => {
    const bad = Buffer.concat([
      Buffer.from('{"model":"coder","messages":[{"role":"user","content":"'),
      Buffer.from([0xff, 0xc3, 0x28]),
      Buffer.from('"}]}'),
    ])
    expect(await expectTaken('/v1/chat/completions', bad)).toBe(400)
    const refused = [
      '',
      '\0',
      '\0\0{}',
      '{',
      '"',
      '[]',
      'null',
      '1e999',
      '{"model":"coder"',
      '﻿{}',
      "{'model':1}",
      'NaN',
      '{"a":1}}',
    ]
    for (const body of refused) expect(await expectTaken('/v1/chat/completions', body), body).toBe(400)
    const taken = [
      String.raw`{"model":"coder","messages":[{"role":"user","content":"\ud800 and \u0000"}]}`,
      '{"model":"nobody","model":"coder","messages":[{"role":"user","content":"doubled"}]}',
      '{"model":"coder","__proto__":{"stream":true},"constructor":{"prototype":{}},"messages":[{"role":"user","content":"magic","__proto__":null}]}',
      '{"model":"coder","max_tokens":1e400,"seed":123456789012345678901234567890,"temperature":-0.0e-999,"messages":[{"role":"user","content":"giant"}]}',
    ]
    for (const body of taken) expect(await expectTaken('/v1/chat/completions', body), body).toBeLessThan(401)
  })

  test('100,000 levels of brackets and braces are refused everywhere', async () => {
    const levels = 100_000
    const arrays = '['.repeat(levels) + ']'.repeat(levels)
    const objects = '{"a":'.repeat(levels) + '1' + '}'.repeat(levels)
    for (const deep of [arrays, objects]) {
      expect(await expectTaken('/v1/chat/completions', deep)).toBe(400)
      expect(
        await expectTaken(
          '/v1/chat/completions',
          `{"model":"coder","messages":[{"role":"user","content":"hi"}],"x":${deep}}`,
        ),
      ).toBe(400)
      expect(await expectTaken('/v1/embeddings', `{"model":"coder","input":[${deep}]}`)).toBe(400)
      expect(await expectTaken('/v1/chat/completions', deep.slice(0, levels))).toBe(400)
      for (const path of ['/api/v1/keys', '/api/v1/teams', '/key/generate']) {
        expect(await expectTaken(path, `{"metadata":{"a":${deep}}}`), path).toBe(400)
      }
    }
  })

  test('any JSON in any field is taken or refused, never a failure', async () => {
    const odd = fc.oneof(
      fc.jsonValue({ maxDepth: 4 }),
      fc.constantFrom<unknown>(
        null,
        true,
        false,
        -1,
        0,
        1e308,
        Number.MAX_SAFE_INTEGER + 2,
        '',
        ' ',
        '\0',
        '\ud800',
        'coder',
        [],
        {},
        [null],
        [[]],
        { type: 'object' },
      ),
      anyText,
    )
    const fields = [
      'model',
      'messages',
      'prompt',
      'input',
      'stream',
      'stream_options',
      'max_tokens',
      'max_completion_tokens',
      'temperature',
      'top_p',
      'n',
      'stop',
      'tools',
      'tool_choice',
      'response_format',
      'seed',
      'logprobs',
      'user',
      'metadata',
      'encoding_format',
      '__proto__',
      'constructor',
      'system',
      'instructions',
      'previous_response_id',
      'store',
      'include',
      'text',
      'reasoning',
      'thinking',
      'output_config',
      'stop_sequences',
      'query',
      'documents',
      'top_n',
      'voice',
    ]
    const message = fc.oneof(
      odd,
      fc.record({ role: fc.oneof(fc.constantFrom('system', 'user', 'assistant', 'tool'), odd), content: odd }),
    )
    const request = fc.record({
      path: fc.constantFrom(
        '/v1/chat/completions',
        '/v1/completions',
        '/v1/embeddings',
        '/v1/messages',
        '/v1/messages/count_tokens',
        '/v1/responses',
        '/v1/rerank',
        '/v2/rerank',
        '/tokenize',
        '/v1/audio/speech',
        '/v1/audio/transcriptions',
      ),
      messages: fc.option(fc.array(message, { maxLength: 4 })),
      odd: fc.dictionary(fc.constantFrom(...fields), odd, { maxKeys: 4 }),
    })
    const base = { model: 'coder', prompt: 'hi', input: 'hi', query: 'hi', documents: ['hi'], voice: 'alloy' }
    const baseOf = (path: string) => ({
      ...base,
      ...(path === '/v1/responses' ? {} : { messages: [{ role: 'user', content: 'hi' }], max_tokens: 9 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 20, maxLength: 20 }), async requests => {
        await Promise.all(
          requests.map(({ path, messages, odd: fuzzed }) =>
            expectTaken(
              path,
              JSON.stringify({
                ...baseOf(path),
                ...(messages === null ? {} : { messages, input: messages }),
                ...fuzzed,
              }),
            ),
          ),
        )
      }),
      { numRuns: 100, endOnFailure: true },
    )
  })

  test('answers that are kept are found by their own id alone, however an id is spelled', async () => {
    const made = await service.call('/v1/responses', { model: 'coder', input: 'Hi' })
    const { id } = (await made.json()) as { id: string }
    expect((await service.call(`/v1/responses/${id}?include=x`)).status).toBe(200)
    const other = (await (await service.call('/api/v1/keys', { alias: 'pries' })).json()) as { key: string }
    const theirs = { headers: { authorization: `Bearer ${other.key}` } }
    const odd = [
      '',
      '/',
      '%',
      '%00',
      '%2e%2e',
      '..%2f',
      `${id}/`,
      `${id}%20`,
      id.toUpperCase(),
      `["admin","${id}"]`,
      '__proto__',
      'x'.repeat(10_000),
    ]
    for (const spelled of odd) {
      for (const method of ['GET', 'DELETE']) {
        const answer = await service.call(`/v1/responses/${spelled}`, undefined, { method, headers: auth })
        expect(answer.status, `${method} ${spelled.slice(0, 50)}`).toBe(404)
        expectFault(await answer.text())
      }
    }
    for (const method of ['GET', 'DELETE'])
      expect((await service.call(`/v1/responses/${id}`, undefined, { ...theirs, method })).status).toBe(404)
    const goOn = { model: 'coder', input: 'And?', previous_response_id: id }
    const pried = await service.call('/v1/responses', goOn, {
      headers: { ...theirs.headers, 'content-type': 'application/json' },
    })
    expect(await pried.json()).toMatchObject({ error: { code: 'previous_response_not_found' } })
    expect((await service.call('/v1/responses', goOn)).status).toBe(200)
    expect((await service.call(`/v1/responses/${id}`, undefined, { method: 'DELETE', headers: auth })).status).toBe(200)
    expect((await service.call('/v1/responses', goOn)).status).toBe(400)
  })

  test('any JSON sent to administration is taken or refused, never a failure', async () => {
    const odd = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.constantFrom<unknown>('\0', '\ud800', '30d', '1e9', -1, [], {}),
      anyText,
    )
    const fields = [
      'alias',
      'team',
      'models',
      'expiresIn',
      'expiresAt',
      'metadata',
      'key',
      'key_alias',
      'duration',
      'team_id',
      'user_id',
      'name',
      'keys',
      'key_aliases',
      'grace',
      '__proto__',
    ]
    const request = fc.record({
      path: fc.constantFrom(
        '/api/v1/keys',
        '/api/v1/teams',
        '/key/generate',
        '/key/delete',
        '/api/v1/keys/nobody/rotate',
        '/key/nonsense',
      ),
      body: fc.oneof(fc.dictionary(fc.constantFrom(...fields), odd, { maxKeys: 4 }), odd),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 8, maxLength: 8 }), async requests => {
        await Promise.all(requests.map(({ path, body }) => expectTaken(path, JSON.stringify(body))))
      }),
      { numRuns: 40, endOnFailure: true },
    )
  })
})

describe('heads', () => {
  test('ninety headers are served, two hundred or 100 KB of them are 431, a very long address is refused', async () => {
    const headers = (count: number) => ({
      headers: { ...auth, ...Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, 'y'])) },
    })
    expect((await service.call('/v1/models', undefined, headers(90))).status).toBe(200)
    expect((await service.call('/v1/models', undefined, headers(200))).status).toBe(431)
    const huge = await sendRaw(port, rawPost('/v1/models', '', { 'x-huge': 'y'.repeat(100_000) }))
    expect(huge.statuses).toEqual([431])
    expectFault(huge.text.slice(huge.text.indexOf('\r\n\r\n')))
    expect((await sendRaw(port, rawPost(`/${'y'.repeat(100_000)}`, ''))).statuses).toEqual([431])
    expect((await sendRaw(port, rawPost(`/${'y'.repeat(10_000)}`, '', { connection: 'close' }))).statuses).toEqual([
      404,
    ])
  })

  test('other methods, versions and targets are refused or answered, and no other route is reached through them', async () => {
    const tail = 'host: holdfast\r\nconnection: close\r\n\r\n'
    const ask = async (line: string) => (await sendRaw(port, `${line}\r\n${tail}`)).statuses
    expect(await ask('OPTIONS /v1/chat/completions HTTP/1.1')).toEqual([405])
    expect(await ask('PUT /v1/chat/completions HTTP/1.1')).toEqual([405])
    expect(await ask('HEAD /health HTTP/1.1')).toEqual([200])
    expect(await ask('OPTIONS * HTTP/1.1')).toEqual([404])
    expect(await ask('GET http://elsewhere/health HTTP/1.1')).toEqual([200])
    expect(await ask('GET http://elsewhere/link/v1/gateway?gateway=x HTTP/1.1')).toEqual([404])
    expect(await ask('CONNECT elsewhere:443 HTTP/1.1')).toEqual([])
    expect(await ask('NONSENSE /health HTTP/1.1')).toEqual([400])
    expect(await ask('GET /health HTTP/9.9')).toEqual([400])
    expect(await ask('PRI * HTTP/2.0')).toEqual([400])
    expect(await ask('GET /health')).toEqual([400])
    expect(await ask('GET /v1/models/% HTTP/1.1')).toEqual([401])
    for (const path of [
      '/api/../link/v1/gateway?gateway=x',
      '/api/%2e%2e/link/v1/gateway?gateway=x',
      '/link/v1/gateway?gateway=x',
      '//link/v1/gateway?gateway=x',
    ]) {
      expect(await ask(`GET ${path} HTTP/1.1`), path).toEqual([404])
    }
    expect((await sendRaw(port, 'GET /health HTTP/1.1\r\n\r\n')).statuses).toEqual([400])
    expect((await service.call('/v1/models/%', undefined)).status).toBe(400)
  })

  test('a TLS greeting on the plain port is refused, and so are random bytes', async () => {
    const greeting = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    await new Promise(resolve => greeting.once('error', resolve))
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 10, maxLength: 10 }),
        async list => {
          const answers = await Promise.all(list.map(bytes => sendRaw(port, Buffer.from(bytes), { halfClose: true })))
          for (const { closed, statuses } of answers) {
            expect(closed).toBe(true)
            expect(statuses.every(status => status === 400)).toBe(true)
          }
        },
      ),
      { numRuns: 20 },
    )
  })

  test('a good request with a few bytes changed is never a failure', async () => {
    const body = JSON.stringify(chat('mutated'))
    const request = rawPost('/v1/chat/completions', body, { ...auth, connection: 'close' })
    const change = fc.record({
      at: fc.nat(request.length - 1),
      byte: fc.nat(255),
      kind: fc.constantFrom('set', 'insert', 'drop'),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { minLength: 10, maxLength: 10 }),
        async lists => {
          const answers = await Promise.all(
            lists.map(changes => {
              const bytes = [...request]
              for (const { at, byte, kind } of changes)
                bytes.splice(at, kind === 'insert' ? 0 : 1, ...(kind === 'drop' ? [] : [byte]))
              return sendRaw(port, Buffer.from(bytes), { halfClose: true })
            }),
          )
          for (const { statuses, text } of answers)
            expect(
              statuses.filter(status => status >= 500),
              text,
            ).toEqual([])
        },
      ),
      { numRuns: 30 },
    )
  })

  test('pipelined requests are answered in order', async () => {
    const one = (i: number) => rawPost('/v1/chat/completions', JSON.stringify(chat(`pipelined ${i}`)), auth)
    const last = rawPost('/nowhere', '', { connection: 'close' })
    const { statuses } = await sendRaw(port, Buffer.concat([...Array.from({ length: 20 }, (_, i) => one(i)), last]), {
      readMs: 10_000,
    })
    expect(statuses).toEqual([...Array.from({ length: 20 }, () => 200), 404])
  })
})

describe('connections', () => {
  test('five hundred idle ones keep nobody out', async () => {
    const sockets = Array.from({ length: 500 }, () => connect(port, '127.0.0.1').on('error', () => {}))
    await Promise.all(sockets.map(socket => new Promise(resolve => socket.once('connect', resolve))))
    await goodAnswer()
    for (const socket of sockets) socket.destroy()
  })

  test('a head that comes byte by byte is given up within 12 seconds', async () => {
    const { closed, tookMs, text } = await dribbledHead
    expect(closed).toBe(true)
    expect(tookMs).toBeLessThan(13_000)
    expect(text).toMatch(/^HTTP\/1\.1 408 /)
  })
})

test('after all that nothing was restarted, memory is back, and good requests are answered', async () => {
  await goodAnswer()
  const processes = await service.processes()
  expect(processes).toEqual(before.processes)
  expect(processes.map(({ restarts }) => restarts)).toEqual(processes.map(() => 0))
  await until('the gateway has answered everything', async () =>
    /holdfast_requests_in_flight 0\n/.test(await (await service.call('/metrics')).text()),
  )
  expect(residentMib(pidOf(processes, 'gateway'))).toBeLessThan(before.gatewayMib + 150)
  expect(service.said.stderr).not.toContain('nobody foresaw')
})
