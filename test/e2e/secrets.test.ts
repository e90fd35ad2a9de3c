/** Secrets, prompts and answers: used in every way, and then searched for in everything that is kept, said or shown. */
import { readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { everythingIn, filesIn, findIn } from '../support/canaries.ts'
import { rawPost, sendRaw } from '../support/raw-http.ts'
import { adminKey, startService, type Service } from '../support/service.ts'
import { until } from '../support/settled.ts'

const engineKey = 'canary-engine-key-8d2f61c07a'
/** Of the Redis that counts limits; nothing answers there. */
const limitsPassword = 'canary-redis-password-b41d77e0'
const hubToken = 'hf_canaryHuggingFaceToken93ac'
const broughtKey = 'sk-canaryBroughtFromLiteLLM5521'
/** A JWT of no issuer that is believed. */
const token = 'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJjYW5hcnkifQ.Y2FuYXJ5LXNpZ25hdHVyZS1vZi1hLXRva2Vu'
const promptCanary = 'canary-prompt-e3b0c442'
const answerCanary = 'canary-answer-fc1c149a'
const systemCanary = 'canary-engine-error-27ae41e4'

const spec = (engineUrl: string, loudUrl: string): string => `
apiVersion: holdfast/v1
name: secrets
gateway: { sharedLimits: "\${env:LIMITS_URL}", trustedProxies: [127.0.0.1], perAddress: { requestsPerMinute: 1 } }
versions:
  - name: dev-v1.0-fake-fp16-p0
    engine: { kind: openai }
    replicas: [{ id: fake, url: "${engineUrl}/v1", apiKey: "\${env:ENGINE_KEY}" }]
  - name: dev-v1.0-loud-fp16-p0
    engine: { kind: openai }
    replicas: [{ id: loud, url: "${loudUrl}/v1" }]
models:
  - { name: coder, live: dev-v1.0-fake-fp16-p0 }
  - { name: loud, live: dev-v1.0-loud-fp16-p0 }
`

type Ask = { key?: string; body?: unknown; method?: string }
type BornKey = { id: string; key: string }

describe('a service whose keys are used, mistyped, rotated and revoked', () => {
  let engine: FakeEngine
  let loud: LoudEngine
  let service: Service
  /** Everything that was answered to somebody who was not being given a key. */
  const answers: string[] = []
  const secrets: Record<string, string> = {
    'the admin key': adminKey,
    'the engine’s key': engineKey,
    'the password of the shared limits': limitsPassword,
    'the token of the hub': hubToken,
    'a key brought from elsewhere': broughtKey,
    'a token': token,
  }
  let made: BornKey
  let rotated: BornKey
  let brief: BornKey

  async function ask(
    path: string,
    { key = adminKey, body, method }: Ask = {},
  ): Promise<{ status: number; text: string }> {
    const answer = await fetch(service.url + path, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: { 'authorization': `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await answer.text()
    answers.push(text, JSON.stringify([...answer.headers]))
    return { status: answer.status, text }
  }

  /** The answers that give birth to a key are the one place where it is shown. */
  async function born(path: string, body: unknown): Promise<BornKey> {
    const answer = await service.call(path, body)
    expect(answer.status).toBeLessThan(300)
    return (await answer.json()) as BornKey
  }

  const chat = (content: string, more: object = {}) => ({
    model: 'coder',
    messages: [{ role: 'user', content }],
    ...more,
  })

  beforeAll(async () => {
    engine = await startFakeEngine({ apiKey: engineKey, echoMessages: true })
    loud = await startLoudEngine()
    service = await startService({
      spec: spec(engine.url, loud.url),
      env: {
        ENGINE_KEY: engineKey,
        LIMITS_URL: `redis://:${limitsPassword}@127.0.0.1:1/0`,
        HF_TOKEN: hubToken,
        HOLDFAST_LOG_LEVEL: 'trace',
      },
    })
    made = await born('/api/v1/keys', { alias: 'made' })
    const first = await born('/api/v1/keys', { alias: 'rotated' })
    rotated = await born('/api/v1/keys/rotated/rotate', {})
    brief = await born('/api/v1/keys', { alias: 'brief', expiresIn: '1s' })
    await born('/key/generate', { key: broughtKey, key_alias: 'brought' })
    Object.assign(secrets, {
      'a made key': made.key,
      'a rotated key': first.key,
      'its new secret': rotated.key,
      'a brief key': brief.key,
    })
  })
  afterAll(async () => {
    await service?.stop()
    await engine?.close()
    await loud?.close()
  })

  test('good calls are answered with each of them, streamed or whole', async () => {
    for (const key of [adminKey, made.key, rotated.key, secrets['a rotated key'], broughtKey]) {
      if (key === undefined) throw new Error('a key is missing')
      const whole = await service.call('/v1/chat/completions', chat(`${promptCanary} ${answerCanary}`), {
        headers: { authorization: `Bearer ${key}` },
      })
      expect(await whole.text()).toContain(answerCanary)
      const stream = await service.call(
        '/v1/chat/completions',
        chat(`${promptCanary} ${answerCanary}`, { stream: true }),
        { headers: { authorization: `Bearer ${key}` } },
      )
      expect(await stream.text()).toContain('[DONE]')
    }
  })

  test('a mistyped, an unknown and an expired key are told which they are', async () => {
    const mistyped = `${made.key.slice(0, 12)}${made.key[12] === 'x' ? 'y' : 'x'}${made.key.slice(13)}`
    const say = async (key: string) => {
      const { status, text } = await ask('/v1/chat/completions', { key, body: chat(promptCanary) })
      expect(status).toBe(401)
      expect(text).toContain('invalid_api_key')
      return text
    }
    expect(await say(mistyped)).toContain('mistyped')
    expect(await say('sk-of-somebody-else-entirely')).toContain('not known')
    await until('the brief key has expired', async () => (await ask('/v1/models', { key: brief.key })).status === 401)
    expect(await say(brief.key)).toContain('expired')
  })

  test('keys in the wrong places come back in no error', async () => {
    for (const key of [made.key, rotated.key, broughtKey]) {
      expect((await ask(`/v1/models/${key}`)).status).toBe(404)
      expect((await ask(`/${key}`)).status).toBe(404)
      expect((await ask(`/v1/models?key=${key}`)).status).toBe(200)
      expect((await ask(`/api/v1/keys/${key}`)).status).toBe(404)
      expect((await ask(`/api/v1/keys/${key}/rotate`, { method: 'POST' })).status).toBe(404)
      expect((await ask(`/key/info?key=${key}x`)).status).toBe(404)
      expect((await ask(`/key/info?key=${key}`)).status).toBe(200)
      expect((await ask(`/api/v1/${key}`)).status).toBe(404)
      expect((await ask(`/key/${key}`)).status).toBe(404)
      expect((await ask('/v1/chat/completions', { body: { ...chat('hi'), model: key } })).status).toBe(404)
      expect((await ask('/v1/chat/completions', { body: `{"model":"coder","key":"${key}",,}` })).status).toBe(400)
      expect((await ask('/api/v1/keys', { body: `{"key":"${key}",,}` })).status).toBe(400)
      expect((await ask('/api/v1/keys', { body: { key, team: 'nobody' } })).status).toBe(400)
      expect((await ask('/api/v1/keys', { body: { [key]: 1, alias: 'x' } })).status).toBe(400)
      expect((await ask('/key/delete', { body: { keys: [`${key}x`] } })).status).toBe(404)
      expect((await ask('/api/v1/teams', { body: { name: key, models: 'none' } })).status).toBe(400)
      expect((await ask('/api/v1/keys', { key: made.key, body: {} })).status).toBe(403)
    }
    answers.push(
      (
        await sendRaw(
          Number(new URL(service.url).port),
          rawPost('/v1/models', '', { 'authorization': `Bearer ${made.key}`, 'bad header': made.key }),
        )
      ).text,
    )
  })

  test('keys and tokens in the wrong places of the newer routes come back in no error', async () => {
    const message = { max_tokens: 5, messages: [{ role: 'user', content: promptCanary }] }
    for (const secret of [made.key, rotated.key, token]) {
      expect((await ask(`/v1/models/${secret}`)).status).toBe(404)
      expect((await ask(`/${secret}`)).status).toBe(404)
      for (const method of ['GET', 'DELETE'])
        expect((await ask(`/v1/responses/${secret}`, { method })).status).toBe(404)
      expect((await ask(`/v1/responses/${secret}`, { body: {} })).status).toBe(405)
      expect((await ask(`/v1/messages/${secret}`, { body: {} })).status).toBe(404)
      expect((await ask(`/v1/messages?key=${secret}`, { method: 'GET' })).status).toBe(405)
      expect((await ask('/v1/messages', { key: `${secret}x`, body: message })).status).toBe(401)
      for (const path of ['/v1/messages', '/v1/messages/count_tokens'])
        expect((await ask(path, { body: { ...message, model: secret } })).status).toBe(404)
      expect(
        (await ask('/v1/messages', { body: { ...message, model: 'coder', [secret]: 1, tools: secret } })).status,
      ).toBe(400)
      expect((await ask('/v1/responses', { body: { model: secret, input: promptCanary } })).status).toBe(404)
      const previous = { model: 'coder', input: promptCanary, previous_response_id: secret }
      expect((await ask('/v1/responses', { body: previous })).status).toBe(400)
      const reference = { model: 'coder', input: [{ type: 'item_reference', id: secret }] }
      expect((await ask('/v1/responses', { body: reference })).status).toBe(400)
      expect((await ask('/v1/responses', { body: { model: 'coder', input: [{ type: secret }] } })).status).toBe(400)
      const ranked = { model: secret, query: promptCanary, documents: [answerCanary] }
      for (const path of ['/v1/rerank', '/v2/rerank', '/rerank'])
        expect((await ask(path, { body: ranked })).status).toBe(404)
      expect((await ask('/tokenize', { body: { model: secret, prompt: promptCanary } })).status).toBe(404)
      expect((await ask('/v1/audio/speech', { body: { model: secret, input: promptCanary } })).status).toBe(404)
      const form = new FormData()
      form.set('model', secret)
      form.set(secret, secret)
      form.set('file', new Blob([promptCanary]), secret)
      const formed = await service.call('/v1/audio/transcriptions', undefined, {
        method: 'POST',
        body: form,
        headers: { authorization: `Bearer ${adminKey}` },
      })
      expect(formed.status).toBe(404)
      answers.push(await formed.text())
      const header = await service.call(
        '/v1/messages',
        { ...message, model: 'coder' },
        { headers: { 'x-api-key': `${secret}x` } },
      )
      expect(header.status).toBe(401)
      answers.push(await header.text())
    }
  })

  test('keys in requests that are refused at the door, or are no HTTP, come back nowhere', async () => {
    const port = Number(new URL(service.url).port)
    const secret = `authorization: Bearer ${made.key}\r\nx-forwarded-for: 203.0.113.9, ${made.key}`
    const line = `GET /v1/models?key=${made.key} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n`
    const client = `x-forwarded-for: 203.0.113.9\r\nauthorization: Bearer ${made.key}\r\n\r\n`
    const refused = [
      ...[`PROXY TCP4 ${made.key}\r\n`, `PROXY ${made.key}`.padEnd(200, 'x'), `${line}host: ${made.key}\r\n\r\n`],
      ...[`${line}${secret}\r\nx: \0${made.key}\r\n\r\n`, `GET /${made.key} HTTP/3.9\r\nhost: x\r\n\r\n`],
      ...[`${line}expect: ${made.key}\r\n\r\n`, line + client, line + client],
    ]
    for (const bytes of refused) answers.push((await sendRaw(port, bytes)).text)
    expect(answers.at(-1)).toContain('429')
  })

  test('what an engine says of one client’s request is told to no other', async () => {
    const mine = { headers: { authorization: `Bearer ${made.key}` } }
    for (let i = 0; i < 4; i++) {
      await (
        await service.call('/v1/chat/completions', { ...chat(`${promptCanary} ${systemCanary}`), model: 'loud' }, mine)
      ).text()
    }
    const other = await ask('/v1/chat/completions', { key: rotated.key, body: { ...chat('hi'), model: 'loud' } })
    // Whether it is asked once more or given nothing now is routing's business.
    expect(other.status).toBeOneOf([502, 503])
    for (const canary of [promptCanary, systemCanary]) expect(other.text).not.toContain(canary)
    await ask('/api/v1/status')
  })

  test('a revoked key is refused everywhere within a second', async () => {
    for (const [ref, key] of [
      ['made', made.key],
      ['rotated', rotated.key],
      ['brought', broughtKey],
    ] as const) {
      expect((await ask(`/api/v1/keys/${ref}`, { method: 'DELETE' })).status).toBe(200)
      const revokedMs = performance.now()
      const chatted = await ask('/v1/chat/completions', { key, body: chat(promptCanary) })
      const listed = await ask('/v1/models', { key })
      expect(performance.now() - revokedMs).toBeLessThan(1_000)
      expect([chatted.status, listed.status]).toEqual([401, 401])
      expect(chatted.text).toContain('revoked')
    }
    expect((await ask('/v1/models', { key: secrets['a rotated key'] ?? '' })).status).toBe(401)
  })

  test('no secret, prompt or answer is in any file, output, metric, status, log, error or command line', async () => {
    const canaries = {
      ...secrets,
      'a prompt': promptCanary,
      'an answer': answerCanary,
      'an engine’s error': systemCanary,
    }
    await ask('/metrics')
    const processes = await service.processes()
    const shown = await Promise.all([
      service.cli('status', '--json'),
      service.cli('status'),
      service.cli('logs', '--json', '--limit', '1000'),
      service.cli('key', 'list', '--json'),
      service.cli('audit', 'verify'),
    ])
    const places: Record<string, Buffer> = {
      'standard output': Buffer.from(service.said.stdout),
      'standard error': Buffer.from(service.said.stderr),
      ...Object.fromEntries(answers.map((text, i) => [`answer ${i}: ${text.slice(0, 80)}`, Buffer.from(text)])),
      ...Object.fromEntries(shown.map(({ stdout, stderr }, i) => [`command ${i}`, Buffer.from(stdout + stderr)])),
      ...Object.fromEntries(
        processes.map(({ role, pid }) => [`the command line of ${role}`, readFileSync(`/proc/${pid}/cmdline`)]),
      ),
      ...Object.fromEntries(filesIn(service.home).map(path => [path, readFileSync(path)])),
    }
    expect(Object.keys(places).filter(place => place.startsWith(service.home)).length).toBeGreaterThan(5)
    expect(service.said.stderr.length).toBeGreaterThan(100)
    expect(findIn(places, canaries)).toEqual([])
    // What was sought is where it may be, so the search itself works.
    expect(findIn({ x: Buffer.from(`-${Buffer.from(`ab${engineKey}`).toString('base64')}-`) }, canaries)).toHaveLength(
      1,
    )
  })

  test('what is kept is its owner’s alone', () => {
    const wrong: string[] = []
    for (const path of [service.home, ...everythingIn(service.home)]) {
      const stat = statSync(path)
      const mode = stat.mode & 0o777
      if (mode !== (stat.isDirectory() ? 0o700 : 0o600)) wrong.push(`${path} ${mode.toString(8)}`)
    }
    expect(wrong).toEqual([])
  })
})

test('an admin key that was made is in its own file and nowhere else', async () => {
  const service = await startService({ env: { HOLDFAST_ADMIN_KEY: '', HOLDFAST_LOG_LEVEL: 'trace' } })
  try {
    const file = join(service.home, 'admin.key')
    const key = readFileSync(file, 'utf8').trim()
    const used = await fetch(`${service.url}/api/v1/keys`, { headers: { authorization: `Bearer ${key}` } })
    expect(used.status).toBe(200)
    const places = Object.fromEntries([
      ...filesIn(service.home)
        .filter(path => path !== file)
        .map(path => [path, readFileSync(path)] as const),
      ['standard output', Buffer.from(service.said.stdout)] as const,
      ['standard error', Buffer.from(service.said.stderr)] as const,
    ])
    expect(findIn(places, { 'the admin key': key })).toEqual([])
    expect(statSync(file).mode & 0o777).toBe(0o600)
  } finally {
    await service.stop()
  }
})

type LoudEngine = { url: string; close(): Promise<void> }

/** Fails at every request, and says what it was. */
async function startLoudEngine(): Promise<LoudEngine> {
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', chunk => {
      body += String(chunk)
    })
    request.on('end', () => {
      const probed = request.method === 'GET'
      response.writeHead(probed ? 200 : 500, { 'content-type': 'application/json' })
      response.end(
        JSON.stringify(probed ? { object: 'list', data: [] } : { error: { message: `I could not answer ${body}` } }),
      )
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
