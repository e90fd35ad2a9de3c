import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { openArtifactFolder } from '../../adapters/artifact-folder/index.ts'
import { openHuggingFace, type HubSettings } from '../../adapters/registry/hugging-face/index.ts'
import { ArtifactError, type HubSource } from '../../domain/catalog/index.ts'
import { commit, repositoryName, startHub, type Hub } from '../../../test/support/hub.ts'
import type { ArtifactStore } from '../artifact-ports.ts'
import { openFetcher, type FetchProgress } from './fetch-artifact.ts'

const weights = Buffer.concat([Buffer.from('GGUF'), randomLike(300_000)])
const other = Buffer.concat([Buffer.from('GGUF'), randomLike(300_000).reverse()])
const split = ['m-00001-of-00003.gguf', 'm-00002-of-00003.gguf', 'm-00003-of-00003.gguf']

let hub: Hub
let folder: string
let store: ArtifactStore
beforeAll(async () => {
  hub = await startHub({
    'a b/m.gguf': weights,
    'same.gguf': weights,
    'page.gguf': Buffer.from('<html>no such model</html>'),
    ...Object.fromEntries(
      split.map((name, i) => [name, Buffer.concat([Buffer.from('GGUF'), Buffer.alloc(10_000, i)])]),
    ),
  })
})
afterAll(() => hub.close())
beforeEach(() => {
  hub.behave({})
  hub.seen.length = 0
  folder = mkdtempSync(join(tmpdir(), 'hf-artifacts-'))
  store = openArtifactFolder(folder)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const source: HubSource = { kind: 'hf', repository: repositoryName, commit, file: 'a b/m.gguf' }
const never = new AbortController().signal

type Call = {
  from?: HubSource
  files?: string[]
  settings?: Partial<HubSettings>
  signal?: AbortSignal
  onProgress?: (progress: FetchProgress) => void
  waits?: number[]
  ranges?: { from: number; each: number }
}

const connections = 4

const openRegistry = (settings: Partial<HubSettings> = {}) =>
  openHuggingFace({ endpoint: hub.url, token: null, offline: false, ...settings })

/** Without waiting between tries. */
const fetcher = ({ waits = [], ranges }: Pick<Call, 'waits' | 'ranges'> = {}) =>
  openFetcher({ store, connections, ...(ranges && { ranges }), pause: async ms => void waits.push(ms) })

async function bring({
  from = source,
  files = ['a b/m.gguf'],
  signal = never,
  onProgress = () => {},
  ...more
}: Call = {}) {
  await fetcher(more)({ source: from, registry: openRegistry(more.settings), files, signal, onProgress })
  return readFileSync(store.pathOf(from, files[0] ?? ''))
}

async function refusal(call: Call = {}): Promise<ArtifactError> {
  const error: unknown = await bring(call).then(
    () => null,
    (caught: unknown) => caught,
  )
  if (!(error instanceof ArtifactError)) throw error ?? new Error('it was fetched')
  return error
}

const partFile = (bytes = weights): string =>
  join(folder, 'parts', `sha256-${createHash('sha256').update(bytes).digest('hex')}`)

/** As if these bytes had come before. */
function havePart(bytes: Buffer, extents = [[0, bytes.length]]): void {
  writeFileSync(partFile(), bytes)
  writeFileSync(`${partFile()}.extents`, JSON.stringify({ etag: '"storage-1"', extents }))
}

/** Fetches until `bytes` of the file are in the part, and then no more. */
async function stopAfter(bytes: number): Promise<void> {
  const stop = new AbortController()
  hub.behave({ holdAfter: bytes })
  const fetching = bring({
    signal: stop.signal,
    onProgress: ({ doneBytes }) => {
      if (doneBytes === bytes) stop.abort()
    },
  })
  await expect(fetching).rejects.toThrow()
  hub.behave({})
}

test('a file is fetched from where the hub redirects to, verified, and kept by its digest for its owner alone', async () => {
  expect(await bring()).toEqual(weights)
  const [blob] = readdirSync(join(folder, 'sha256'))
  expect(blob).toBe(createHash('sha256').update(weights).digest('hex'))
  expect(statSync(join(folder, 'sha256', blob ?? '')).mode & 0o777).toBe(0o600)
  expect(statSync(join(folder, 'sha256')).mode & 0o777).toBe(0o700)
  expect(readdirSync(join(folder, 'parts'))).toEqual([])
})

test('what is there is not asked for again, and two sources share a file', async () => {
  await bring()
  const asked = hub.seen.length
  await bring({ settings: { offline: true } })
  expect(hub.seen).toHaveLength(asked)
  const sent = hub.sent()
  expect(await bring({ from: { ...source, commit: commit.slice(0, 8) }, files: ['same.gguf'] })).toEqual(weights)
  expect(hub.sent()).toBe(sent)
  expect(readdirSync(join(folder, 'sha256'))).toHaveLength(1)
})

test('a download that was stopped goes on where it was', async () => {
  await stopAfter(100_000)
  expect(readFileSync(partFile())).toEqual(weights.subarray(0, 100_000))
  expect(store.has(source, 'a b/m.gguf')).toBe(false)
  const sent = hub.sent()
  expect(await bring()).toEqual(weights)
  expect(hub.sent() - sent).toBe(weights.length - 100_000)
  expect(hub.seen.at(-1)).toMatchObject({ at: 'storage', range: 'bytes=100000-', ifRange: '"storage-1"' })
})

test('a part that is whole already is verified and needs no more bytes', async () => {
  await stopAfter(100_000)
  havePart(weights)
  const sent = hub.sent()
  expect(await bring()).toEqual(weights)
  expect(hub.sent()).toBe(sent)
})

test.each([
  ['other bytes behind the same digest', { etag: '"storage-2"' }],
  ['a storage that knows no ranges', { ignoresRange: true }],
])('it starts again with %s', async (_, behaviour) => {
  await stopAfter(100_000)
  hub.behave(behaviour)
  const sent = hub.sent()
  expect(await bring()).toEqual(weights)
  expect(hub.sent() - sent).toBe(weights.length)
})

test('a part whose bytes were changed, or that is too long, is fetched anew', async () => {
  await stopAfter(100_000)
  havePart(Buffer.concat([Buffer.from('GGUF'), Buffer.alloc(50_000, 7)]))
  expect(await bring()).toEqual(weights)
  rmSync(folder, { recursive: true })
  await stopAfter(100_000)
  havePart(Buffer.concat([weights, weights]))
  expect(await bring()).toEqual(weights)
})

test('whatever is cut, refused and resumed, the bytes in the end are the right ones', async () => {
  const cut = fc.integer({ min: 0, max: weights.length - 1 })
  const trouble = fc.record({
    cuts: fc.array(cut, { maxLength: 8 }),
    chunked: fc.boolean(),
    ignoresRange: fc.boolean(),
    failWith: fc.array(
      fc.record({
        at: fc.constantFrom('hub' as const, 'storage' as const),
        status: fc.constantFrom(429, 500, 502, 503),
      }),
      { maxLength: 3 },
    ),
  })
  await fc.assert(
    fc.asyncProperty(trouble, async behaviour => {
      rmSync(folder, { recursive: true, force: true })
      hub.behave(behaviour)
      // One that gave up goes on where it was, as the agent does.
      const bytes = await bring().catch(() => {
        hub.behave({})
        return bring()
      })
      expect(bytes.equals(weights)).toBe(true)
    }),
    { numRuns: 20 },
  )
})

test('bytes that are not those of the digest are never given a name, and are fetched twice at most', async () => {
  hub.behave({ sends: other })
  const sent = hub.sent()
  const error = await refusal()
  expect(error).toMatchObject({ retry: 'never' })
  expect(error.message).toMatch(/twice, with sha256/)
  expect(hub.sent() - sent).toBe(2 * other.length)
  expect(store.has(source, 'a b/m.gguf')).toBe(false)
  expect(readdirSync(join(folder, 'parts'))).toEqual([])
  expect(readdirSync(join(folder, 'sha256'))).toEqual([])
})

test.each([
  ['shorter', weights.subarray(0, -1), false],
  ['longer', Buffer.concat([weights, Buffer.from('x')]), false],
  ['shorter, and of no told length', weights.subarray(0, -1), true],
  ['longer, and of no told length', Buffer.concat([weights, Buffer.from('x')]), true],
])('a file that comes %s than the hub said is not taken', async (_, sends, chunked) => {
  hub.behave({ sends, chunked })
  expect(await refusal()).toMatchObject({ retry: 'later' })
  expect(existsSync(store.pathOf(source, 'a b/m.gguf'))).toBe(false)
})

test('a file that is no GGUF is refused with its first bytes, and nothing is kept', async () => {
  const error = await refusal({ files: ['page.gguf'] })
  expect(error).toMatchObject({ retry: 'never' })
  expect(error.message).toMatch(/page\.gguf .* is no GGUF file \(it starts with "<htm"\)/)
  hub.behave({ sends: Buffer.alloc(weights.length, 'x') })
  expect((await refusal()).message).toMatch(/is no GGUF/)
  expect(statSync(partFile()).size).toBe(0)
})

test('waits grow, are told, and are those that were asked for', async () => {
  const waits: number[] = []
  const told: (string | null)[] = []
  hub.behave({
    failWith: [
      { at: 'hub', status: 503 },
      { at: 'hub', status: 502 },
      { at: 'hub', status: 429, headers: { 'retry-after': '7' } },
      { at: 'storage', status: 429, headers: { ratelimit: '"resolvers";r=0;t=55' } },
      { at: 'storage', status: 403 },
    ],
  })
  await bring({ waits, onProgress: ({ why }) => told.push(why) })
  expect(waits).toEqual([1_000, 2_000, 7_000, 55_000, 2_000])
  expect(told).toContainEqual(expect.stringMatching(/answers 429; again in 7 s$/))
  expect(told.at(-1)).toBeNull()
})

test('it gives up for now when nothing more comes, and not while every try brings more', async () => {
  const waits: number[] = []
  hub.behave({ holdAfter: 1_000 })
  const cutEachThousand = ({ doneBytes }: FetchProgress): void => {
    if (doneBytes === 12_000) hub.behave({})
    if (doneBytes > 0 && doneBytes % 1_000 === 0) hub.cut()
  }
  expect(await bring({ waits, onProgress: cutEachThousand })).toEqual(weights)
  expect(waits).toEqual(Array.from({ length: 12 }, () => 1_000))
  rmSync(folder, { recursive: true })
  hub.behave({ cuts: Array.from({ length: 12 }, () => 0) })
  const error = await refusal()
  expect(error.retry).toBe('later')
  expect(error.message).toMatch(/cut the connection|can't be reached/)
})

test('all parts of a split model stand side by side, and the progress is of all', async () => {
  const told: FetchProgress[] = []
  const from = { ...source, file: split[0] ?? '' }
  await bring({ from, files: split, onProgress: progress => told.push({ ...progress }) })
  expect(readdirSync(join(store.pathOf(from, split[0] ?? ''), '..')).toSorted()).toEqual(split)
  expect(told.at(-1)).toEqual({ doneBytes: 30_012, totalBytes: 30_012, why: null })
  expect(told.map(({ doneBytes }) => doneBytes)).toEqual(
    told.map(({ doneBytes }) => doneBytes).toSorted((a, b) => a - b),
  )
})

test('two that want the same file fetch it once', async () => {
  const fetchArtifact = fetcher()
  const sent = hub.sent()
  const order = { registry: openRegistry(), signal: never, onProgress: () => {} }
  await Promise.all([
    fetchArtifact({ ...order, source, files: ['a b/m.gguf'] }),
    fetchArtifact({ ...order, source: { ...source, commit: commit.slice(0, 7) }, files: ['same.gguf'] }),
  ])
  expect(hub.sent() - sent).toBe(weights.length)
})

test('what does not fit on the disk is not begun, and the message says what to do', async () => {
  const full = { ...store, free: async () => ({ bytes: 299_999, folder: '/srv/holdfast' }) }
  const fetchArtifact = openFetcher({ store: full })
  const error: unknown = await fetchArtifact({
    source,
    registry: openRegistry(),
    files: ['a b/m.gguf'],
    signal: never,
    onProgress: () => {},
  }).catch((caught: unknown) => caught)
  expect(error).toMatchObject({ retry: 'later' })
  expect(String(error)).toMatch(/\/srv\/holdfast has room for 299999 bytes: free some space there/)
  expect(hub.seen.some(({ at }) => at === 'storage')).toBe(false)
})

test('a disk that can’t be written is told with its folder', async () => {
  rmSync(folder, { recursive: true })
  writeFileSync(folder, 'a file where the folder should be')
  const error = await refusal()
  expect(error.retry).toBe('later')
  expect(error.message).toContain(`${folder} can't be written`)
})

/** Bytes without a pattern, the same in every run. */
function randomLike(bytes: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(bytes / 32) }, (_, i) =>
    createHash('sha256').update(String(i)).digest(),
  )
  return Buffer.concat(blocks).subarray(0, bytes)
}
