import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { ArtifactError, type HubSource } from '../../../domain/catalog/index.ts'
import { commit, repositoryName, startHub, type Hub } from '../../../../test/support/hub.ts'
import { openHuggingFace, type HubSettings } from './index.ts'

const bytes = Buffer.from('GGUF and more')
const signal = new AbortController().signal
const source: HubSource = { kind: 'hf', repository: repositoryName, commit, file: 'm.gguf' }
const sha256 = '8ab2e3d5'

let hub: Hub
const closers: (() => Promise<unknown>)[] = []
beforeAll(async () => {
  hub = await startHub({ 'm.gguf': bytes, 'x/n.GGUF': bytes, 'README.md': bytes })
})
afterAll(() => hub.close())
beforeEach(() => {
  hub.behave({})
  hub.seen.length = 0
})
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

const open = (settings: Partial<HubSettings> = {}) =>
  openHuggingFace({ endpoint: hub.url, token: null, offline: false, ...settings })

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

async function refusal(
  { from = source, path = 'm.gguf' }: { from?: HubSource; path?: string },
  settings: Partial<HubSettings> = {},
): Promise<ArtifactError> {
  const error: unknown = await open(settings)
    .locate(from, path, signal)
    .catch((caught: unknown) => caught)
  if (!(error instanceof ArtifactError)) throw error
  return error
}

async function textOf(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all).toString()
}

test('a file is located by what the hub says on its redirect; the storage is not asked', async () => {
  const file = await open().locate(source, 'm.gguf', signal)
  expect(file).toMatchObject({ repository: repositoryName, commit, path: 'm.gguf', bytes: bytes.length })
  expect(file.digest.algorithm).toBe('sha256')
  expect(hub.seen).toMatchObject([{ at: 'hub', method: 'HEAD', path: `/${repositoryName}/resolve/${commit}/m.gguf` }])
})

test('a small file that is kept in git is known by git’s own digest', async () => {
  hub.behave({ inGit: true })
  const file = await open().locate(source, 'm.gguf', signal)
  expect(file.bytes).toBe(bytes.length)
  expect(file.digest.algorithm).toBe('git-sha1')
  const { bytes: body } = await open().read(file, { offset: 0, etag: null }, signal)
  expect(await textOf(body)).toBe(bytes.toString())
})

test('an abbreviated commit is made whole, by pages of the history when it must be', async () => {
  expect((await open().locate({ ...source, commit: commit.slice(0, 8) }, 'm.gguf', signal)).commit).toBe(commit)
  expect((await refusal({ from: { ...source, commit: 'abcdef1' } })).message).toMatch(
    /2 commits that start with abcdef1/,
  )
  expect((await refusal({ from: { ...source, commit: '0000000' } })).message).toMatch(/no commit 0000000.*40 digits/)
})

test('a repository that was renamed is followed', async () => {
  const file = await open().locate({ ...source, repository: 'holdfast/renamed' }, 'm.gguf', signal)
  expect(file).toMatchObject({ commit, bytes: bytes.length })
})

test('the token is for the hub alone', async () => {
  hub.behave({ gatedFor: 'hf_secret' })
  const registry = open({ token: 'hf_secret' })
  const file = await registry.locate(source, 'm.gguf', signal)
  const { bytes: body } = await registry.read(file, { offset: 0, etag: null }, signal)
  expect(await textOf(body)).toBe(bytes.toString())
  expect(hub.seen.map(({ at, authorization }) => [at, authorization])).toEqual([
    ['hub', 'Bearer hf_secret'],
    ['hub', 'Bearer hf_secret'],
    ['storage', null],
  ])
})

test.each([
  ['a file that is not there', { path: 'M.gguf' }, {}, /has no file M\.gguf; it has m\.gguf, x\/n\.GGUF$/],
  ['a commit that is not there', { from: { ...source, commit: 'f'.repeat(40) } }, {}, /has no commit ffff/],
  [
    'no such repository',
    { from: { ...source, repository: 'a/b' } },
    {},
    /no repository a\/b, or it is private.*HF_TOKEN/,
  ],
  [
    'no such repository, with a token',
    { from: { ...source, repository: 'a/b' } },
    { token: 't' },
    /no repository a\/b, or the token/,
  ],
])('%s is told, and asking again is no use', async (_, asked, settings, message) => {
  const error = await refusal(asked, settings)
  expect(error.retry).toBe('never')
  expect(error.message).toMatch(message)
})

test('a gated repository says what to do, without a token and with one that may not', async () => {
  hub.behave({ gatedFor: 'hf_right' })
  expect((await refusal({})).message).toMatch(/is gated: ask for access at .*set HF_TOKEN/)
  const wrong = await refusal({}, { token: 'hf_wrong' })
  expect(wrong.message).toMatch(/the token in HF_TOKEN may not read it/)
  expect(wrong.message).not.toContain('hf_wrong')
  const ofRegistry = { token: 'hf_wrong', tokenName: 'registry[mirror].token' }
  expect((await refusal({}, ofRegistry)).message).toMatch(/the token in registry\[mirror\]\.token may not read it/)
})

test.each([
  ['another commit', { 'x-repo-commit': 'a'.repeat(40) }, /was asked for .* and has aaaa/],
  ['no digest', { 'x-linked-etag': '"1-23"' }, /does not tell/],
  ['no length', { 'x-linked-size': 'many' }, /does not tell/],
])('a hub that tells %s is not believed', async (_, wrong, message) => {
  hub.behave({ hubHeaders: headers => ({ ...headers, ...wrong }) })
  const error = await refusal({})
  expect(error.retry).toBe('never')
  expect(error.message).toMatch(message)
})

test('the tag of a redirect is never taken for the file’s', async () => {
  hub.behave({
    hubHeaders: headers => ({ ...headers, 'etag': `"${sha256.padEnd(64, '0')}"`, 'x-linked-etag': '' }),
  })
  expect((await refusal({})).message).toMatch(/does not tell/)
})

test('redirects without end, or to what is no address, are given up', async () => {
  const endless = await listen((_, response) => void response.writeHead(302, { location: '/again' }).end())
  expect((await refusal({}, { endpoint: endless })).message).toMatch(/redirects more than/)
  const file = await open().locate(source, 'm.gguf', signal)
  hub.behave({ redirectTo: 'http://[' })
  await expect(open().read(file, { offset: 0, etag: null }, signal)).rejects.toThrow(/no address/)
})

test('nothing is asked when nothing may be, or the endpoint is none', async () => {
  expect((await refusal({}, { offline: true })).message).toMatch(/HF_HUB_OFFLINE/)
  expect((await refusal({}, { endpoint: 'huggingface.co' })).message).toMatch(/HF_ENDPOINT is 'huggingface.co'/)
  expect(hub.seen).toEqual([])
})

test('a hub that is not there, or is silent, may be back soon', async () => {
  const gone = await listen(() => {})
  await closers.pop()?.()
  expect(await refusal({}, { endpoint: gone })).toMatchObject({
    retry: 'soon',
    message: expect.stringMatching(/ECONNREFUSED/),
  })
  const silent = await listen(() => {})
  expect(await refusal({}, { endpoint: silent, silenceMs: 50 })).toMatchObject({
    retry: 'soon',
    message: expect.stringMatching(/was silent for 0\.05 s/),
  })
})

test('a body that stands still ends', async () => {
  const registry = open({ silenceMs: 50 })
  const file = await registry.locate(source, 'm.gguf', signal)
  hub.behave({ holdAfter: 4 })
  const { bytes: body } = await registry.read(file, { offset: 0, etag: null }, signal)
  await expect(textOf(body)).rejects.toThrow(/was silent/)
  hub.resume()
})

test('who asked can end it', async () => {
  const stop = new AbortController()
  const silent = await listen(() => stop.abort(new Error('enough')))
  await expect(open({ endpoint: silent }).locate(source, 'm.gguf', stop.signal)).rejects.toThrow('enough')
})

test('the GGUF files of a commit are listed, and where a branch is', async () => {
  expect(await open().ggufs({ repository: repositoryName, commit: commit.slice(0, 7) }, signal)).toEqual([
    { path: 'm.gguf', bytes: bytes.length },
    { path: 'x/n.GGUF', bytes: bytes.length },
  ])
  expect(await open().commitOf(repositoryName, 'main', signal)).toBe(commit)
})

test.each([
  ['goes on', { 'content-range': 'bytes 5-12/13', 'etag': '"a"' }, 5],
  ['goes on, and does not tell how long the file is', { 'content-range': 'bytes 5-12/*', 'etag': '"a"' }, 5],
  ['starts elsewhere', { 'content-range': 'bytes 4-12/13', 'etag': '"a"' }, 0],
  ['is of a file of another length', { 'content-range': 'bytes 5-12/14', 'etag': '"a"' }, 0],
  ['has other bytes, whatever was asked', { 'content-range': 'bytes 5-12/13', 'etag': '"b"' }, 0],
  ['does not say where it starts', { etag: '"a"' }, 0],
])('an answer to a range that %s is taken for what it is', async (_, headers, offset) => {
  const endpoint = await listen((request, response) => {
    if (request.headers.range === undefined) response.end(bytes)
    else response.writeHead(206, headers).end(bytes.subarray(5))
  })
  const file = await open().locate(source, 'm.gguf', signal)
  const download = await open({ endpoint }).read(file, { offset: 5, etag: '"a"' }, signal)
  expect(download.offset).toBe(offset)
  expect(await textOf(download.bytes)).toBe(bytes.toString().slice(offset))
})
