/** Some three hundred requests that parsers have disagreed about: at the gateway alone, and behind a real nginx. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { rawPost, sendRaw, type RawAnswer } from '../support/raw-http.ts'
import { adminKey, startService, type Service } from '../support/service.ts'
import { until } from '../support/settled.ts'
import { smugglingCorpus, type SmugglingCase } from '../support/smuggling-corpus.ts'

const auth = { authorization: `Bearer ${adminKey}` }
const chat = (content: string): string => JSON.stringify({ model: 'coder', messages: [{ role: 'user', content }] })
const corpus = smugglingCorpus({
  headers: auth,
  path: '/v1/chat/completions',
  hiddenBody: name => chat(`smuggled-${name}`),
})
const nginxIsMissing = (process.env['HOLDFAST_MISSING_TOOLS'] ?? '').split(',').includes('nginx')

let engine: Server
/** Every body that the engine was ever sent. */
const reached: string[] = []
let service: Service
let port: number

beforeAll(async () => {
  engine = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (part: string) => {
      body += part
    })
    request.on('end', () => {
      if (request.method === 'POST') reached.push(body)
      const message = { role: 'assistant', content: 'Hi.' }
      const answer = { id: 'x', object: 'chat.completion', created: 1, model: 'coder' }
      const told =
        request.method === 'POST'
          ? { ...answer, choices: [{ index: 0, message, finish_reason: 'stop' }] }
          : { object: 'list', data: [{ id: 'coder', object: 'model' }] }
      response.setHeader('content-type', 'application/json').end(JSON.stringify(told))
    })
  })
  engine.listen(0, '127.0.0.1')
  await once(engine, 'listening')
  // A TCP server that listens has an address object.
  const { port: enginePort } = engine.address() as AddressInfo
  service = await startService({
    spec: stringify({
      versions: [
        {
          name: 'dev-v1.0-fake-fp16-p0',
          engine: { kind: 'openai' },
          replicas: [{ id: 'a', url: `http://127.0.0.1:${enginePort}/v1` }],
        },
      ],
      models: [{ name: 'coder', live: 'dev-v1.0-fake-fp16-p0' }],
    }),
  })
  port = Number(new URL(service.url).port)
})
afterAll(async () => {
  await service?.stop()
  engine?.closeAllConnections()
  engine?.close()
})

type Tried = SmugglingCase & RawAnswer
type Trying = { readMs: number; bytesOf?: (tried: SmugglingCase) => string | string[] }

/** A few at a time. Those that are refused end by themselves; for others a second request would have been answered by then. */
async function tryAll(at: number, { readMs, bytesOf = ({ bytes }) => bytes }: Trying): Promise<Tried[]> {
  const tried: Tried[] = []
  const left = [...corpus]
  const worker = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const isRefused = next.expected === 'refused'
      tried.push({ ...next, ...(await sendRaw(at, bytesOf(next), { readMs: isRefused ? 5_000 : readMs })) })
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  return tried
}

const refusals = new Set([400, 431, 501, 505])
const isRefusal = (status: number): boolean => refusals.has(status)
const named = (found: Tried[]): string[] =>
  found.map(({ name, statuses, closed }) => `${name}: ${statuses.join()} ${closed}`)

/** As nearly all clients write it. */
const plainPost = (content: string): string => rawPost('/v1/chat/completions', chat(content), auth).toString('latin1')

/** Proves that the path from here to the engine's log is whole. */
async function sendOpenly(at: number, content: string): Promise<void> {
  const { statuses } = await sendRaw(
    at,
    rawPost('/v1/chat/completions', chat(content), { ...auth, connection: 'close' }),
  )
  expect(statuses).toEqual([200])
  expect(reached.filter(body => body.includes(content))).toHaveLength(1)
}

test('the corpus is as large as it claims, and every case has a name of its own', () => {
  expect(new Set(corpus.map(({ name }) => name)).size).toBe(corpus.length)
  expect(corpus.length).toBeGreaterThan(250)
})

test('at the gateway each is refused and its connection ended, or read in the one way there is', async () => {
  const tried = await tryAll(port, { readMs: 400 })
  const served = tried.filter(({ statuses }) => statuses.length > 1 || statuses.includes(200))
  const lax = tried.filter(
    ({ expected, statuses, closed }) => expected === 'refused' && !(closed && statuses.every(isRefusal)),
  )
  // The hidden request is no JSON: the outer one is understood, and refused for that alone.
  const misread = tried.filter(
    ({ expected, statuses, text }) => expected === 'one' && !(statuses[0] === 400 && text.includes('invalid_json')),
  )
  expect({ served: named(served), lax: named(lax), misread: named(misread) }).toEqual({
    served: [],
    lax: [],
    misread: [],
  })
  expect(reached.filter(body => body.includes('smuggled-'))).toEqual([])
  await sendOpenly(port, 'openly-at-the-gateway')
})

// What is plain is read by one parser and what is not by another: none of these may come between them.
test('behind a plain request that came with it, each is refused or read as ever, and the plain one is answered', async () => {
  reached.length = 0
  const tried = await tryAll(port, { readMs: 400, bytesOf: ({ name, bytes }) => plainPost(`plain-${name}`) + bytes })
  const wrong = tried.filter(({ expected, statuses: [first, ...others], closed, text }) => {
    if (first !== 200) return true
    if (expected === 'one') return others.length !== 1 || !text.includes('invalid_json')
    return !closed || !others.every(isRefusal)
  })
  expect(named(wrong)).toEqual([])
  expect(reached.toSorted()).toEqual(corpus.map(({ name }) => chat(`plain-${name}`)).toSorted())
})

test('in front of a plain request that came with it, what is refused takes that one with it, and nothing else does', async () => {
  reached.length = 0
  const tried = await tryAll(port, { readMs: 400, bytesOf: ({ name, bytes }) => bytes + plainPost(`plain-${name}`) })
  const wrong = tried.filter(({ expected, statuses, closed }) =>
    expected === 'one' ? statuses[0] !== 400 : !closed || !statuses.every(isRefusal),
  )
  expect(named(wrong)).toEqual([])
  // node:http reads nothing behind a request that would go on in another protocol.
  const readInOneWay = corpus.filter(({ expected, bytes }) => expected === 'one' && !bytes.includes('\r\nupgrade: '))
  expect(reached.toSorted()).toEqual(readInOneWay.map(({ name }) => chat(`plain-${name}`)).toSorted())
})

test('between two plain requests, and all of it byte by byte, nothing is served that was hidden or stands behind', async () => {
  reached.length = 0
  const tried = await tryAll(port, {
    readMs: 400,
    bytesOf: ({ name, bytes }) => [...`${plainPost(`before-${name}`)}${bytes}${plainPost(`behind-${name}`)}`],
  })
  expect(named(tried.filter(({ expected, closed }) => expected === 'refused' && !closed))).toEqual([])
  const mayBeServed = corpus.flatMap(({ name, expected }) =>
    [`before-${name}`, ...(expected === 'one' ? [`behind-${name}`] : [])].map(chat),
  )
  const allowed = new Set(mayBeServed)
  expect(reached.filter(body => !allowed.has(body))).toEqual([])
  expect(reached.length).toBe(new Set(reached).size)
  expect(reached.length).toBeGreaterThan(corpus.length / 2)
})

describe.skipIf(nginxIsMissing && process.env['CI'] !== 'true')('behind nginx', () => {
  let nginx: ChildProcess
  let folder: string
  let proxyPort: number

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-smuggling-'))
    proxyPort = await freePort()
    const file = join(folder, 'nginx.conf')
    writeFileSync(file, renderNginx({ folder, port: proxyPort, upstream: new URL(service.url).host }))
    nginx = spawn('nginx', ['-p', folder, '-c', file, '-e', join(folder, 'error.log')], { stdio: 'inherit' })
    await until(
      'nginx serves',
      async () => (await sendRaw(proxyPort, 'GET /health HTTP/1.0\r\n\r\n')).statuses[0] === 200,
    )
  })
  afterAll(async () => {
    if (nginx?.exitCode === null) {
      nginx.kill('SIGTERM')
      await once(nginx, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  })

  test('what reaches a model is what nginx itself understood as a request', async () => {
    reached.length = 0
    await tryAll(proxyPort, { readMs: 400 })
    await sendOpenly(proxyPort, 'openly-behind-nginx')
    const understood = (): string[] =>
      [...readFileSync(join(folder, 'access.log'), 'utf8').matchAll(/smuggled=([\w.-]+) /g)].map(
        match => match[1] ?? '',
      )
    const served = reached.flatMap(body => /smuggled-([\w.-]+)"/.exec(body)?.[1] ?? [])
    expect(served.filter(name => !understood().includes(name))).toEqual([])
    // And by each exactly as often as nginx passed it on.
    expect(served.length).toBe(new Set(served).size)
  })

  test('requests on connections that nginx keeps to the gateway are not mixed up by any of them', async () => {
    let ended = false
    const attack = tryAll(proxyPort, { readMs: 200 }).finally(() => {
      ended = true
    })
    let asked = 0
    while (!ended) {
      const content = `honest-${asked++}`
      const bytes = rawPost('/v1/chat/completions', chat(content), { ...auth, connection: 'close' })
      const { statuses, text } = await sendRaw(proxyPort, bytes, { readMs: 20_000 })
      expect(statuses, text).toEqual([200])
      expect(reached.filter(body => body.includes(`"${content}"`))).toHaveLength(1)
    }
    await attack
    expect(asked).toBeGreaterThan(5)
  })
})

function renderNginx(parts: { folder: string; port: number; upstream: string }): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${parts.folder}/nginx.pid;
events {}
http {
  access_log ${parts.folder}/access.log;
  ${temporary.map(part => `${part}_temp_path ${parts.folder}/${part};`).join('\n  ')}
  upstream gateway { server ${parts.upstream}; keepalive 4; }
  server {
    listen 127.0.0.1:${parts.port};
    location / { proxy_pass http://gateway; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering off; }
  }
}
`
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A TCP server that listens has an address object.
  const { port: free } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return free
}
