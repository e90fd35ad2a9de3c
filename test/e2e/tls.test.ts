/** TLS in the gateway itself: handshakes, certificates that are renewed and broken, client certificates, and the command line. */
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { makeAuthority, makeCertificate, type Pair } from '../support/certificates.ts'
import { sendRaw } from '../support/raw-http.ts'
import { adminKey, runCli, startService, type Service } from '../support/service.ts'
import { until } from '../support/settled.ts'

let folder: string
let engine: FakeEngine
let authority: Pair
let first: Pair
let second: Pair

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-tls-'))
  authority = makeAuthority(folder, 'authority')
  first = makeCertificate(folder, 'first', authority)
  second = makeCertificate(folder, 'second', authority)
  engine = await startFakeEngine({ name: 'coder' })
})
afterAll(async () => {
  await engine?.close()
  rmSync(folder, { recursive: true, force: true })
})

const specOf = (tls: object): string =>
  stringify({
    gateway: { tls },
    versions: [
      { name: 'dev-v1.0-fake-fp16-p0', engine: { kind: 'openai' }, replicas: [{ id: 'a', url: `${engine.url}/v1` }] },
    ],
    models: [{ name: 'coder', live: 'dev-v1.0-fake-fp16-p0' }],
  })

type Answer = { status: number; text: string }
type Ask = { path?: string; body?: object; tls?: ConnectionOptions }

/** As a client that believes the authority and nobody else. */
function ask(service: Service, { path = '/v1/models', body, tls = {} }: Ask = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const call = request(service.url + path, {
    ca: readFileSync(authority.cert),
    agent: false,
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'authorization': `Bearer ${adminKey}`, 'content-type': 'application/json' },
    ...tls,
  })
  call.on('error', reject).on('response', answer => {
    let text = ''
    answer.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
    answer.on('error', reject).on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
  })
  call.end(body === undefined ? undefined : JSON.stringify(body))
  return promise
}

/** A handshake and nothing more. Rejects when it fails. */
function shake(service: Service, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>()
  const { hostname: host, port } = new URL(service.url)
  const socket = connect({ host, port: Number(port), ca: readFileSync(authority.cert), ...options }, () =>
    resolve(socket),
  )
  socket.on('error', reject)
  return promise
}

async function shownBy(service: Service): Promise<string> {
  const socket = await shake(service)
  const { CN: name } = socket.getPeerCertificate().subject
  socket.destroy()
  return String(name)
}

const chat = (more: object = {}) => ({ model: 'coder', messages: [{ role: 'user', content: 'hello' }], ...more })

describe('a gateway with a certificate', () => {
  let service: Service
  /** What the spec names, beside it. */
  let shown: Pair

  beforeAll(async () => {
    shown = { cert: join(folder, 'shown.pem'), key: join(folder, 'shown.key') }
    copyFileSync(first.cert, shown.cert)
    copyFileSync(first.key, shown.key)
    service = await startService({ spec: specOf(shown) })
  })
  afterAll(async () => {
    await service?.stop()
  })

  test('answers whole and streamed, and its address says https', async () => {
    expect(service.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/)
    expect((await ask(service, { path: '/v1/chat/completions', body: chat() })).status).toBe(200)
    const { text } = await ask(service, { path: '/v1/chat/completions', body: chat({ stream: true }) })
    expect(text).toContain('[DONE]')
    expect((await ask(service, { path: '/api/v1/keys' })).status).toBe(200)
  })

  test('speaks TLS 1.2 and 1.3 and HTTP/1.1, and nothing else', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await shake(service, {
        minVersion: version,
        maxVersion: version,
        ALPNProtocols: ['h2', 'http/1.1'],
      })
      expect([socket.getProtocol(), socket.alpnProtocol]).toEqual([version, 'http/1.1'])
      socket.destroy()
    }
    await expect(
      shake(service, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }),
    ).rejects.toThrow(/protocol version|no protocols available|alert/i)
    await expect(shake(service, { ALPNProtocols: ['h2'] })).rejects.toThrow(/no application protocol/i)
  })

  test('what is no TLS is not answered, and nobody else notices', async () => {
    const port = Number(new URL(service.url).port)
    const odd = [
      'GET /health HTTP/1.1\r\nhost: x\r\n\r\n',
      '\x16\x03\x01\xff\xff' + 'x'.repeat(5_000),
      'PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n',
    ]
    const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => sendRaw(port, odd[i % odd.length] ?? '')))
    for (const { statuses, closed } of answers) expect([statuses, closed]).toEqual([[], true])
    expect((await ask(service)).status).toBe(200)
  })

  test('the command line works, though the certificate is for another name', async () => {
    const { exitCode, stdout, stderr } = await service.cli('status', '--json')
    expect(exitCode, stderr).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ url: service.url })
    expect((await service.cli('key', 'create', '--alias', 'anna', '--json')).exitCode).toBe(0)
    expect((await service.cli('chat', 'hello', '--json')).exitCode).toBe(0)
  })

  test('a new pair is shown once it is whole; a broken one is told of, and what worked goes on', async () => {
    expect(await shownBy(service)).toBe('first')
    const swap = (from: string, to: string): void => {
      copyFileSync(from, `${to}.new`)
      renameSync(`${to}.new`, to)
    }
    swap(second.cert, shown.cert)
    await until('the half of a pair is told of', () => service.said.stderr.includes("can't be used together"), 20_000)
    expect(service.said.stderr).toContain('The certificate from before goes on')
    expect(await shownBy(service)).toBe('first')
    swap(second.key, shown.key)
    await until('the new pair is shown', async () => (await shownBy(service)) === 'second', 20_000)
    writeFileSync(shown.cert, 'nonsense')
    await until('nonsense is told of', () => service.said.stderr.includes('has no certificate in PEM'), 20_000)
    expect(await shownBy(service)).toBe('second')
    expect((await ask(service)).status).toBe(200)
    expect(service.said.stderr).not.toContain('PRIVATE KEY')
  })
})

describe('a spec with other certificates', () => {
  let service: Service
  beforeAll(async () => {
    service = await startService({ spec: specOf(first) })
  })
  afterAll(async () => {
    await service?.stop()
  })

  test('is refused whole when they cannot be read or used, and everything stays as it was', async () => {
    writeFileSync(join(folder, 'nonsense.pem'), 'nonsense')
    const refused = [
      [{ ...first, cert: join(folder, 'nowhere.pem') }, /gateway\.tls\.cert: .*nowhere\.pem can't be read \(ENOENT\)/],
      [{ ...first, key: folder }, /gateway\.tls\.key: .* can't be read \(EISDIR\)/],
      [{ ...first, cert: join(folder, 'nonsense.pem') }, /has no certificate in PEM/],
      [{ ...first, clientCa: join(folder, 'nonsense.pem') }, /gateway\.tls\.clientCa: .* has no certificate in PEM/],
      [{ cert: first.cert, key: second.key }, /can't be used together/],
    ] as const
    for (const [tls, says] of refused) {
      writeFileSync(service.specFile, specOf(tls).replace('name: coder', 'name: renamed'))
      const { status, text } = await ask(service, { path: '/api/v1/apply', body: {} })
      expect([status, text]).toEqual([409, expect.stringMatching(says)])
    }
    expect((await ask(service)).text).toContain('"coder"')
    expect(await shownBy(service)).toBe('first')
  })

  test('is in force once they can', async () => {
    writeFileSync(service.specFile, specOf(second).replace('name: coder', 'name: renamed'))
    expect(await service.cli('apply')).toMatchObject({ exitCode: 0 })
    expect(await shownBy(service)).toBe('second')
    expect((await ask(service)).text).toContain('"renamed"')
  })
})

describe('a gateway that wants client certificates', () => {
  let service: Service
  let known: ConnectionOptions
  let foreign: ConnectionOptions

  beforeAll(async () => {
    const clients = makeAuthority(folder, 'clients')
    const strangers = makeAuthority(folder, 'strangers')
    const optionsOf = ({ cert, key }: Pair): ConnectionOptions => ({ cert: readFileSync(cert), key: readFileSync(key) })
    known = optionsOf(makeCertificate(folder, 'anna', clients))
    foreign = optionsOf(makeCertificate(folder, 'mallory', strangers))
    service = await startService({ spec: specOf({ ...first, clientCa: clients.cert }) })
  })
  afterAll(async () => {
    await service?.stop()
  })

  test('serves whoever shows one of its authority', async () => {
    expect((await ask(service, { tls: known })).status).toBe(200)
    expect((await ask(service, { tls: known, path: '/v1/chat/completions', body: chat() })).status).toBe(200)
    expect((await ask(service, { tls: known, path: '/api/v1/keys' })).status).toBe(200)
  })

  test('refuses everybody else, whatever their key, and lets everybody ask for its health', async () => {
    const received = engine.state().received
    for (const tls of [{}, foreign]) {
      for (const path of [
        '/v1/models',
        '/api/v1/keys',
        '/key/info',
        '/console/',
        '/metrics',
        '/healthy',
        '/v1/responses/x',
      ]) {
        const { status, text } = await ask(service, { tls, path })
        expect([path, status]).toEqual([path, 401])
        expect(JSON.parse(text)).toMatchObject({ error: { code: 'client_certificate_required' } })
      }
      expect((await ask(service, { tls, path: '/v1/chat/completions', body: chat() })).status).toBe(401)
      for (const path of ['/health', '/v1/health', '/health/readiness'])
        expect((await ask(service, { tls, path })).status).toBe(200)
    }
    expect(engine.state().received).toBe(received)
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'a %s session that began without one proves nothing when it is resumed',
    async version => {
      const only = { minVersion: version, maxVersion: version }
      const { promise, resolve } = Promise.withResolvers<Buffer>()
      const socket = await shake(service, only)
      socket.on('session', resolve)
      socket.on('data', () => {}).write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n')
      const session =
        socket.getProtocol() === 'TLSv1.2' ? (socket.getSession() ?? expect.fail('no session')) : await promise
      const again = await shake(service, { ...only, session })
      expect(again.isSessionReused()).toBe(true)
      again.write(
        `GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${adminKey}\r\nconnection: close\r\n\r\n`,
      )
      let text = ''
      for await (const part of again) text += String(part)
      expect(text).toMatch(/^HTTP\/1\.1 401 /)
      socket.destroy()
    },
  )

  test('the command line of this machine needs none', async () => {
    expect((await service.cli('status', '--json')).exitCode).toBe(0)
  })
})

test('a service whose certificate can’t be used does not start, and says why', async () => {
  const file = join(folder, 'holdfast.yaml')
  const env = { ...process.env, HOLDFAST_HOME: join(folder, 'home'), HOLDFAST_ADMIN_KEY: adminKey }
  const tell = async (tls: object): Promise<string> => {
    writeFileSync(file, specOf(tls))
    const { exitCode, stderr } = await runCli(['up', file, '--port', '0', '--json'], env)
    expect(exitCode).toBe(1)
    return stderr
  }
  // Paths start from the spec's folder.
  expect(await tell({ cert: 'nowhere.pem', key: 'first.key' })).toContain(
    `gateway.tls.cert: ${join(folder, 'nowhere.pem')} can't be read (ENOENT)`,
  )
  expect(await tell({ cert: 'first.pem', key: 'second.key' })).toContain("can't be used together")
  expect(await tell({ cert: 'first.pem', key: 'first.key', clientCa: 'first.key' })).toContain(
    'has no certificate in PEM',
  )
})
