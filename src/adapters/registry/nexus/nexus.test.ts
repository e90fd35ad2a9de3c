import { createHash } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startFakeNexus, type FakeNexus } from '../../../../tools/fake-nexus/index.ts'
import { ArtifactError } from '../../../domain/catalog/index.ts'
import type { Upload } from '../../../services/registry/index.ts'
import { openNexus, type NexusSettings } from './index.ts'

const { signal } = new AbortController()
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

let nexus: FakeNexus
let lines: string[]
const closers: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  lines = []
  nexus = await startFakeNexus()
  closers.push(() => nexus.close())
})
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

const open = (settings: Partial<NexusSettings> = {}) =>
  openNexus({
    url: `${nexus.url}/registry`,
    token: null,
    tell: line => lines.push(line),
    patience: { tries: 3, pauseMs: 1 },
    settleMs: { refusing: 20, replacing: 60 },
    ...settings,
  })

async function listen(handler: RequestListener): Promise<string> {
  const server = createServer(handler)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closers.push(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  // A TCP server that listens has an address object.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function refusal(work: () => Promise<unknown>): Promise<ArtifactError> {
  const error: unknown = await work().catch((caught: unknown) => caught)
  if (!(error instanceof ArtifactError)) throw error instanceof Error ? error : new Error('it was done')
  return error
}

async function textOf(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all).toString()
}

async function pathsIn(list: AsyncIterable<{ path: string }>): Promise<string[]> {
  const paths: string[] = []
  for await (const { path } of list) paths.push(path)
  return paths.toSorted()
}

const toUpload = (bytes: Buffer, digest = sha256(bytes)): Upload => ({
  bytes: bytes.length,
  sha256: digest,
  async *open({ from, to }) {
    for (let at = from; at < to; at += 1000) yield bytes.subarray(at, Math.min(to, at + 1000))
  },
  onProgress: () => undefined,
})

test.each([
  'https://nexus.lan',
  'https://nexus.lan/models',
  'nexus.lan/repository/models',
  'https://a:b@nexus.lan/repository/models',
])('%s names no repository', url => {
  expect(() => open({ url })).toThrow(/names no repository of a Nexus: write https/)
})

test('R7 a token is for Nexus alone: where it hands out objects of its storage, they are fetched without', async () => {
  const seen: unknown[] = []
  const storage = await listen((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(206, { 'content-range': 'bytes 0-3/9' }).end('abcd')
  })
  const url = await listen((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(302, { location: `${storage}/blob` }).end()
  })
  const place = open({ url: `${url}/nexus/repository/models`, token: 'user:pass' })
  expect(place.name).toBe(`${url}/nexus/repository/models`)
  expect(await textOf(place.read('a', { from: 0, to: 4 }, signal))).toBe('abcd')
  expect(seen).toEqual([`Basic ${Buffer.from('user:pass').toString('base64')}`, undefined])
})

test('a token without a colon is a bearer, for a proxy before Nexus', async () => {
  const seen: unknown[] = []
  const url = await listen((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(403).end()
  })
  await refusal(() => open({ url: `${url}/repository/models`, token: 'abc' }).head('a', signal))
  expect(seen).toEqual(['Bearer abc'])
})

test.each([
  [{ user: 'ada:canary' }, {}, /refused \(401\): Nexus wants a user; set the registry's token/],
  [{ user: 'ada:canary' }, { token: 'ada:wrong-canary' }, /refused \(401\): Nexus does not take the registry's token/],
  [
    { forbidden: ['add' as const], user: 'a:b' },
    { token: 'a:b' },
    /needs nx-repository-view-raw-models-browse, -read, -add/,
  ],
  [{ writePolicy: 'deny' as const }, {}, /deployment policy is read-only; set it to 'Disable redeploy'/],
  [{ type: 'group' as const }, {}, /'models' is a group repository of format raw; a registry is a hosted raw/],
  [{ repository: 'others' }, {}, /there is no repository 'models'; make it in Nexus/],
  [{ failWith: [{ status: 404 }, { status: 401 }, { status: 413 }] }, {}, /client_max_body_size 0/],
])('R8 %o is told with what to do', async (behaviour, settings, message) => {
  nexus.behave(behaviour)
  const place = open(settings)
  const error = await refusal(async () => {
    await place.head('blobs/a', signal)
    await place.write('blobs/a', toUpload(Buffer.from('abc')), signal)
  })
  expect(error.retry).toBe('never')
  expect(error.message).toMatch(message)
  expect(error.message).not.toMatch(/canary/)
})

test('R8 who is locked out after failed sign-ins is not tried again: each try makes it longer', async () => {
  nexus.behave({
    failWith: [{ status: 429, reason: 'Too many authentication attempts', headers: { 'retry-after': '30' } }],
  })
  const error = await refusal(() => open({ token: 'a:b' }).head('a', signal))
  expect(error.retry).toBe('never')
  expect(error.message).toMatch(/until 15 minutes without any request/)
  expect(nexus.seen).toHaveLength(1)
})

test('a Nexus that is just starting is asked again', async () => {
  nexus.behave({ failWith: [{ status: 503 }, { status: 502 }] })
  expect(await open().head('a', signal)).toBe(null)
})

test('R1 a cut in the middle of a write leaves nothing, and the write is done again', async () => {
  const bytes = Buffer.alloc(300_000, 'x')
  nexus.behave({ cutPuts: [100_000, 200_000] })
  await open().write('blobs/a', toUpload(bytes), signal)
  expect(nexus.objects.get('registry/blobs/a')?.bytes.equals(bytes)).toBe(true)
  nexus.behave({ cutPuts: [100_000, 100_000, 100_000] })
  expect((await refusal(() => open().write('blobs/b', toUpload(bytes), signal))).retry).toBe('soon')
  expect([...nexus.objects.keys()]).toEqual(['registry/blobs/a'])
})

test('whoever may not write is told before the bytes go', async () => {
  nexus.behave({ forbidden: ['add'], user: 'a:b' })
  const error = await refusal(() => open({ token: 'a:b' }).write('blobs/a', toUpload(Buffer.alloc(8_000_000)), signal))
  expect(error.message).toMatch(/refused \(403\)/)
  expect(nexus.taken()).toBe(0)
})

test('R1 bytes of another digest are not written whole, and what is not those that went is told', async () => {
  const place = open()
  const bytes = Buffer.alloc(5000, 'x')
  await refusal(() => place.write('blobs/a', toUpload(bytes, sha256(Buffer.from('other'))), signal))
  expect(nexus.objects.size).toBe(0)
  await place.write('blobs/b', toUpload(Buffer.alloc(5000, 'z')), signal)
  const stored = nexus.objects.get('registry/blobs/b')
  if (stored === undefined) throw new Error('not written')
  stored.bytes = Buffer.alloc(4999, 'z')
  const error = await refusal(() => place.write('blobs/b', toUpload(Buffer.alloc(5000, 'z')), signal))
  expect(error.message).toMatch(/has other bytes there than those that were written \(4999 of 5000\)/)
})

test.each(['3.71', '3.96'] as const)(
  'writing what is there is no error where redeploy is disabled: %s',
  async release => {
    for (const dropsReasons of [false, true]) {
      nexus.behave({ release, dropsReasons })
      const place = open()
      await place.write('blobs/a', toUpload(Buffer.from('abc')), signal)
      await place.write('blobs/a', toUpload(Buffer.from('abc')), signal)
      expect(await place.create('versions/a.json', Buffer.from('1'), signal)).toBe(dropsReasons ? 'exists' : 'created')
      expect(await place.create('versions/a.json', Buffer.from('2'), signal)).toBe('exists')
    }
    expect(lines).toEqual([])
  },
)

test('R4 two first writes at one moment can both be taken; the later look tells who is there', async () => {
  const gate = Promise.withResolvers<void>()
  let waiting = 0
  nexus.behave({
    beforeAttach: () => {
      waiting += 1
      if (waiting === 2) gate.resolve()
      return gate.promise
    },
  })
  const create = (text: string) => open().create('versions/a.json', Buffer.from(text), signal)
  const both = await Promise.all([create('1'), create('2')])
  expect(waiting).toBe(2)
  expect(both.toSorted()).toEqual(['created', 'exists'])
  expect(nexus.objects.get('registry/versions/a.json')?.bytes.toString()).toBe(both[0] === 'created' ? '1' : '2')
})

test('R4 where redeploy is allowed two creators are kept apart by the wait, and it is told once', async () => {
  nexus.behave({ writePolicy: 'allow' })
  const place = open()
  const create = (path: string, text: string) => place.create(path, Buffer.from(text), signal)
  const both = await Promise.all([create('versions/a.json', '1'), create('versions/a.json', '2')])
  expect(both.toSorted()).toEqual(['created', 'exists'])
  expect(nexus.objects.get('registry/versions/a.json')?.bytes.toString()).toBe(both[0] === 'created' ? '1' : '2')
  expect(await create('versions/b.json', '1')).toBe('created')
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/set its deployment policy to 'Disable redeploy'/)
})

test.each(['3.71', '3.96'] as const)(
  'a list has all pages of what is there now, and nothing of others: %s',
  async release => {
    nexus.behave({ release })
    const place = open()
    const mine = Array.from({ length: 23 }, (_, n) => `blobs/sha256/${n}`)
    for (const path of mine) nexus.objects.set(`registry/${path}`, { bytes: Buffer.from('abc'), at: new Date(0) })
    nexus.objects.set('others/blobs/sha256/1', { bytes: Buffer.from('abc'), at: new Date(0) })
    nexus.objects.set('registry/versions/a.json', { bytes: Buffer.from('abc'), at: new Date(0) })
    expect(await pathsIn(place.list('blobs/', signal))).toEqual(mine.toSorted())
    expect(nexus.seen.filter(({ path }) => path.endsWith('/assets'))).toHaveLength(release === '3.71' ? 3 : 1)
    for await (const found of place.list('versions/', signal))
      expect(found).toEqual({ path: 'versions/a.json', bytes: 3, modifiedAt: new Date(0) })
  },
)

test.each([
  ['no JSON', '<html></html>', /is not answered as a Nexus answers/],
  ['another document', '{"items": [{"path": 3}], "continuationToken": null}', /is not answered as a Nexus answers/],
  ['one page for ever', '{"items": [], "continuationToken": "a"}', /does not come to an end/],
])('R6 a list that is %s is left', async (_, document, message) => {
  const url = await listen((request, response) => {
    const isList = (request.url ?? '').includes('/assets')
    response.end(isList ? document : '{"format": "raw", "type": "hosted"}')
  })
  const place = open({ url: `${url}/repository/models` })
  expect((await refusal(() => pathsIn(place.list('', signal)))).message).toMatch(message)
})
