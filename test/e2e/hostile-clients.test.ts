/** Clients that leave, read nothing, send odd forms or pry, in every dialect: the engine's work ends, and nobody else hears of it. */
import { once } from 'node:events'
import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { engine as fakeEngine, gateway } from '../support/gateways.ts'
import { answer, floods, says, startRawEngine, streamHead, type Misbehave } from '../support/hostile-engine.ts'
import { testKey, testVersion, type TestGateway } from '../support/in-process-gateway.ts'
import { rawPost, sendRaw } from '../support/raw-http.ts'
import { until } from '../support/settled.ts'
import { requests, type Asked } from '../support/well-formed.ts'

const secret = 'canary-of-a-prompt-7f3a'
const everything = Object.keys(requests) as Asked[]
const event = 'data: {"choices":[{"index":0,"text":"hi","delta":{"content":"hi"}}]}\n\n'
const speechHead = 'HTTP/1.1 200 OK\r\ncontent-type: audio/wav\r\n\r\n'
const headOf = (asked: Asked): string => (asked === 'speech' ? speechHead : streamHead)
const streams = everything.filter(asked => asked.endsWith('-stream') || asked === 'speech')

/** An engine that does one thing, and its connections. */
async function engineThat(behave: Misbehave): Promise<{ url: string; sockets: Socket[] }> {
  const sockets: Socket[] = []
  const take: Misbehave = socket => {
    sockets.push(socket)
    behave(socket)
  }
  const raw = await startRawEngine(new Map([['it', take]]))
  onTestFinished(() => raw.close())
  return { url: `${raw.url}/it`, sockets }
}

function send({ port }: TestGateway, asked: Asked, more: object = {}): ClientRequest {
  const { path, body } = requests[asked]
  const headers = { 'authorization': `Bearer ${testKey}`, 'content-type': 'application/json' }
  const call = request({ port, host: '127.0.0.1', path, method: 'POST', headers, agent: false })
  call.on('error', () => {})
  call.end(JSON.stringify({ model: 'coder', ...body, ...more }))
  return call
}

async function expectForgotten({ untilClosed, gate, fleet, unexpected }: TestGateway): Promise<void> {
  expect(await untilClosed(1)).toMatchObject([{ outcome: 'cancelled', status: 499, fault: null }])
  expect([gate.inFlight, ...fleet.replicas().map(({ inFlight }) => inFlight)]).toEqual([0, 0])
  expect(unexpected).toEqual([])
}

const form = (fields: Record<string, string | Blob>): FormData => {
  const made = new FormData()
  for (const [name, value] of Object.entries(fields)) made.set(name, value)
  return made
}
const recording = new Blob([Buffer.alloc(300_000, 7)])
const sendForm = ({ url }: TestGateway, body: FormData) =>
  fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', headers: { authorization: `Bearer ${testKey}` }, body })

describe('a client that leaves', () => {
  test.each(everything)('%s: before anything is answered, stops the engine', async asked => {
    const { url, sockets } = await engineThat(() => {})
    const started = await gateway({ replicas: [{ url }] })
    const call = send(started, asked)
    await until('the engine is asked', () => sockets.length === 1)
    call.destroy()
    await until('the engine is let go', () => sockets[0]?.destroyed === true)
    await expectForgotten(started)
  })

  test.each(streams)('%s: in the middle of it, stops the engine', async asked => {
    const { url, sockets } = await engineThat(floods(headOf(asked) + event, Buffer.from(event)))
    const started = await gateway({ replicas: [{ url }] })
    const call = send(started, asked)
    const [got] = (await once(call, 'response')) as [IncomingMessage]
    await once(got, 'data')
    call.destroy()
    await until('the engine is let go', () => sockets[0]?.destroyed === true)
    await expectForgotten(started)
  })

  test.each(streams)('%s: that reads nothing holds the engine, not the gateway’s memory', async asked => {
    const { url, sockets } = await engineThat(floods(headOf(asked), Buffer.from(event.repeat(500)), 512 * 1024 * 1024))
    const started = await gateway({ replicas: [{ url }] })
    const call = send(started, asked)
    await once(call, 'response')
    const counts: number[] = []
    await until(
      'the engine is held',
      () => counts.push(sockets[0]?.bytesWritten ?? 0) > 10 && counts.at(-1) === counts.at(-10),
    )
    expect(counts.at(-1)).toBeGreaterThan(0)
    expect(counts.at(-1)).toBeLessThan(64 * 1024 * 1024)
    call.destroy()
    await until('the engine is let go', () => sockets[0]?.destroyed === true)
    await expectForgotten(started)
  })

  test.each(['/v1/chat/completions', '/v1/messages', '/v1/responses', '/v1/audio/transcriptions'])(
    '%s: while it still sends its request, is forgotten, and no engine is asked',
    async path => {
      const { url, sockets } = await engineThat(() => {})
      const started = await gateway({ replicas: [{ url }] })
      const head = { 'authorization': `Bearer ${testKey}`, 'content-length': '100000' }
      const half = rawPost(path, '{"model":"coder","messages":[', head)
      await sendRaw(started.port, half, { readMs: 100 })
      await expectForgotten(started)
      expect(sockets).toEqual([])
    },
  )
})

describe('a form', () => {
  test('goes whole to the next replica when the first one dies of it', async () => {
    const { url, sockets } = await engineThat(socket => socket.resetAndDestroy())
    const fake = await fakeEngine({ dialect: 'openai' })
    const started = await gateway({ replicas: [{ url }, { url: fake.url, backup: true }] })
    const got = await sendForm(started, form({ 'model': 'coder', 'file': recording, 'odd "name"\r\n': 'x' }))
    expect(got.status, await got.text()).toBe(200)
    expect(sockets).toHaveLength(1)
    expect(await started.untilClosed(1)).toMatchObject([{ outcome: 'ok', attempts: 2, replica: 'r1' }])
    const told = JSON.stringify(fake.state().lastRequests.at(-1)?.body)
    expect(told).toContain('300000')
  })

  const boundary = 'b'
  const type = `multipart/form-data; boundary=${boundary}`
  const part = (head: string, body: string): string => `--${boundary}\r\n${head}\r\n\r\n${body}\r\n`
  const named = (name: string): string => `content-disposition: form-data; name="${name}"`
  const file = part(`${named('file')}; filename="a.wav"`, 'RIFF')
  const model = part(named('model'), 'coder')
  const end = `--${boundary}--\r\n`
  const odd: Record<string, [type: string, body: string]> = {
    'of a hundred thousand fields': [type, part(named('a'), '1').repeat(100_000) + model + file + end],
    'of a hundred thousand files': [type, file.repeat(100_000) + model + end],
    'with a name of megabytes': [type, part(named('a'.repeat(5_000_000)), '1') + model + file + end],
    'with headers of megabytes': [
      type,
      part(`x-a: ${'a'.repeat(5_000_000)}\r\n${named('a')}`, '1') + model + file + end,
    ],
    'with a million headers': [type, part('x: y\r\n'.repeat(1_000_000) + named('a'), '1') + model + file + end],
    'without a boundary': ['multipart/form-data', model + file + end],
    'with another boundary': ['multipart/form-data; boundary=x', model + file + end],
    'with two boundaries': [`multipart/form-data; boundary=x; boundary=${boundary}`, model + file + end],
    'with an empty boundary': ['multipart/form-data; boundary=""', model + file + end],
    'of another type': [`multipart/mixed; boundary=${boundary}`, model + file + end],
    'of no type': ['x', model + file + end],
    'that ends early': [type, model + file],
    'whose file is a field': [type, model + part(named('file'), 'RIFF') + end],
    'whose model is a file': [type, part(`${named('model')}; filename="m"`, 'coder') + file + end],
    'whose model is magic': [type, part(named('model'), '__proto__') + file + end],
    'of nothing': [type, end],
    'that is empty': [type, ''],
    'that is JSON': [type, '{"model":"coder"}'],
  }
  test.each(Object.entries(odd))('%s is refused, and no engine is asked', async (_, [contentType, body]) => {
    const { url, sockets } = await engineThat(() => {})
    const started = await gateway({ replicas: [{ url }], limits: { body: (20 * 1024 * 1024) as never } })
    const headers = { 'authorization': `Bearer ${testKey}`, 'content-type': contentType, 'connection': 'close' }
    const { text, statuses } = await sendRaw(started.port, rawPost('/v1/audio/transcriptions', body, headers), {
      readMs: 20_000,
    })
    expect(statuses, text.slice(0, 500)).toEqual([expect.toBeOneOf([400, 404])])
    const { error } = JSON.parse(text.slice(text.indexOf('\r\n\r\n')))
    expect(Object.keys(error).toSorted()).toEqual(['code', 'message', 'param', 'type'])
    expect(await started.untilClosed(1)).toMatchObject([{ outcome: 'refused' }])
    expect([sockets, started.unexpected, started.gate.inFlight]).toEqual([[], [], 0])
  })
})

describe('errors', () => {
  const shapes: [name: string, path: string, init: RequestInit, status: number][] = [
    ['404', '/v1/nothing', {}, 404],
    ['404', '/v1/messages/batches', {}, 404],
    ['405', '/v1/messages', { method: 'GET', body: null }, 405],
    ['401', '/v1/messages', { headers: {} }, 401],
    ['401', '/v1/messages/count_tokens', { headers: { 'x-api-key': 'sk-unknown-of-somebody' } }, 401],
    ['413', '/v1/messages', { body: ' '.repeat(2 * 1024 * 1024) }, 413],
    ['415', '/v1/messages', { headers: { 'authorization': `Bearer ${testKey}`, 'content-encoding': 'gzip' } }, 415],
    ['400', '/v1/messages', { body: '{' }, 400],
  ]
  test.each(shapes)('%s %s has the shape that its client reads', async (_, path, init, status) => {
    const { url, sockets } = await engineThat(() => {})
    const started = await gateway({ replicas: [{ url }] })
    const isTheirs = path.startsWith('/v1/messages')
    for (const version of isTheirs
      ? [{}, { 'anthropic-version': '2023-06-01' }]
      : [{ 'anthropic-version': '2023-06-01' }]) {
      const headers = { authorization: `Bearer ${testKey}`, ...version }
      const got = await started.post(path, '{}', {
        headers,
        ...init,
        ...(init.headers === undefined ? {} : { headers: { ...init.headers, ...version } }),
      })
      expect(got.status).toBe(status)
      expect(await got.json()).toMatchObject({
        type: 'error',
        error: { type: expect.any(String), message: expect.any(String) },
        request_id: got.headers.get('x-request-id'),
      })
    }
    expect(sockets).toEqual([])
  })

  test.each(['/v1/responses', '/v1/rerank', '/v2/rerank', '/tokenize', '/v1/audio/speech', '/v1/audio/transcriptions'])(
    '%s: what is no request is refused as OpenAI’s clients read it',
    async path => {
      const { url } = await engineThat(() => {})
      const started = await gateway({ replicas: [{ url }] })
      const magic = '{"__proto__":{"model":"coder","input":"x"},"constructor":{"prototype":{"model":"coder"}}}'
      for (const body of [
        '',
        '{',
        '[]',
        'null',
        '{}',
        '{"model":5}',
        '{"model":"__proto__"}',
        '{"model":"coder"}',
        magic,
      ]) {
        const got = await started.post(path, body, {
          headers: { 'authorization': `Bearer ${testKey}`, 'anthropic-version': 'x' },
        })
        expect(got.status, body).toBeOneOf([400, 404])
        const { error } = (await got.json()) as { error: object }
        expect(Object.keys(error).toSorted()).toEqual(['code', 'message', 'param', 'type'])
      }
      expect(started.unexpected).toEqual([])
    },
  )
})

describe('what an engine says of one client’s request', () => {
  const echoes: Record<string, Misbehave> = {
    'error 500': says(answer('500 Oops', {}, JSON.stringify({ error: { message: `I fail at ${secret}` } }))),
    'error 503': says(answer('503 Busy', {}, JSON.stringify({ error: { message: `too busy for ${secret}` } }))),
    'error 404': says(answer('404 No', {}, JSON.stringify({ error: { message: `model '${secret}' does not exist` } }))),
    'out of memory': says(answer('500 Oops', {}, JSON.stringify({ detail: `CUDA out of memory at ${secret}` }))),
    'error in 200': says(answer('200 OK', {}, JSON.stringify({ error: { message: `I fail at ${secret}` } }))),
    'error in events': says(streamHead, `data: {"error":{"message":"I fail at ${secret}"}}\n\n`),
    'nonsense': says(answer('200 OK', {}, secret)),
    'type': says(answer('200 OK', { 'content-type': `text/${secret}` }, 'x')),
  }
  test.each(Object.entries(echoes))('%s: is told to no other, whatever they ask', async (_, behave) => {
    const { url } = await engineThat(behave)
    for (const asked of everything) {
      const started = await gateway({ replicas: [{ url }], queue: { waiting: 0, deadlineMs: 1 } })
      const { path, body } = requests[asked]
      await (await started.post(path, { model: 'coder', ...body })).text()
      const known = JSON.stringify(started.fleet.replicas().map(({ health, progress }) => [health, progress]))
      expect(known, asked).not.toContain(secret)
      expect(JSON.stringify(started.records)).not.toContain(secret)
      expect(started.unexpected).toEqual([])
      const version = started.fleet.version(testVersion)
      const model = started.fleet.model('coder')
      if (version === null || model === null) throw new Error('there is a model')
      expect(JSON.stringify(started.fleet.noReplica(model, version))).not.toContain(secret)
    }
  })
})
