import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { openArtifactFolder } from '../../adapters/artifact-folder/index.ts'
import { openHuggingFace } from '../../adapters/registry/hugging-face/index.ts'
import { ArtifactError, type HubSource } from '../../domain/catalog/index.ts'
import { commit, repositoryName, startHub, type Hub } from '../../../test/support/hub.ts'
import type { ArtifactStore } from '../artifact-ports.ts'
import { openFetcher, type FetchProgress } from './index.ts'

const bytes = 300_000
const weights = Buffer.concat([Buffer.from('GGUF'), noise(bytes - 4, 'weights')])
const other = Buffer.concat([Buffer.from('GGUF'), noise(bytes - 4, 'other')])
const file = 'm.gguf'
const source: HubSource = { kind: 'hf', repository: repositoryName, commit, file }
const never = new AbortController().signal
const connections = 4
const ranges = { from: 100_000, each: 20_000 }
/** Everything is noted at once, so that an end without warning keeps something. */
const notes = { everyMs: 1, everyBytes: 1 }

let hub: Hub
let folder: string
let store: ArtifactStore
beforeAll(async () => {
  hub = await startHub({ [file]: weights })
})
afterAll(() => hub.close())
beforeEach(() => {
  hub.behave({})
  hub.seen.length = 0
  folder = mkdtempSync(join(tmpdir(), 'hf-ranges-'))
  store = openArtifactFolder(folder, { notes })
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

type Call = {
  signal?: AbortSignal
  onProgress?: (progress: FetchProgress) => void
  into?: ArtifactStore
  most?: number
}

async function bring({ signal = never, onProgress = () => {}, into = store, most = connections }: Call = {}) {
  const registry = openHuggingFace({ endpoint: hub.url, token: null, offline: false })
  const fetchArtifact = openFetcher({ store: into, connections: most, ranges, pause: async () => {} })
  await fetchArtifact({ source, registry, files: [file], signal, onProgress })
  return readFileSync(into.pathOf(source, file))
}

/** A fetch whose four connections stand still, each after so many bytes. */
async function bringHeld(eachBytes: number, { signal = never }: Call = {}) {
  hub.behave({ holdAfter: eachBytes })
  const held = Promise.withResolvers<void>()
  const bringing = bring({
    signal,
    onProgress: ({ doneBytes }) => doneBytes === connections * eachBytes && held.resolve(),
  })
  bringing.catch(() => {})
  await held.promise
  hub.behave({})
  return { bringing }
}

const storageAsked = () => hub.seen.filter(({ at }) => at === 'storage')
const hubAsked = () => hub.seen.filter(({ at, method }) => at === 'hub' && method === 'GET')
const partFile = (): string => join(folder, 'parts', `sha256-${createHash('sha256').update(weights).digest('hex')}`)

type Notes = { etag: string; extents: [number, number][] }
const noted = (): Notes => JSON.parse(readFileSync(`${partFile()}.extents`, 'utf8')) as Notes

test('a large file comes in ranges side by side, once its first bytes have shown that ranges are known', async () => {
  const { bringing } = await bringHeld(1_000)
  expect(storageAsked().map(({ range }) => range)).toEqual([
    'bytes=0-19999',
    'bytes=20000-39999',
    'bytes=40000-59999',
    'bytes=60000-79999',
  ])
  expect(storageAsked().map(({ ifRange }) => ifRange)).toEqual([null, ...Array<string>(3).fill('"storage-1"')])
  hub.resume()
  expect(await bringing).toEqual(weights)
  expect(storageAsked()).toHaveLength(15)
  expect(readdirSync(join(folder, 'parts'))).toEqual([])
})

test('the hub is asked where a file is once; again when that address has expired', async () => {
  const { bringing } = await bringHeld(1_000)
  expect(hubAsked()).toHaveLength(1)
  hub.behave({ failWith: [{ at: 'storage', status: 403 }] })
  hub.resume()
  expect(await bringing).toEqual(weights)
  expect(hubAsked()).toHaveLength(2)
})

test('what several ranges brought is kept, and only the rest is asked for', async () => {
  const stop = new AbortController()
  const { bringing } = await bringHeld(7_000, { signal: stop.signal })
  stop.abort()
  await expect(bringing).rejects.toThrow()
  expect(noted().extents).toEqual([0, 20_000, 40_000, 60_000].map(from => [from, from + 7_000]))
  const sent = hub.sent()
  const told: number[] = []
  expect(await bring({ onProgress: ({ doneBytes }) => told.push(doneBytes) })).toEqual(weights)
  expect(hub.sent() - sent).toBe(bytes - connections * 7_000)
  expect(told[0]).toBe(connections * 7_000)
})

test('a storage that knows no ranges is read as one stream', async () => {
  hub.behave({ ignoresRange: true })
  const sent = hub.sent()
  expect(await bring()).toEqual(weights)
  expect(storageAsked()).toHaveLength(1)
  expect(hub.sent() - sent).toBe(bytes)
})

test('with another tag in the middle it starts again, as one stream', async () => {
  hub.behave({ tagChangesAfter: 6 })
  expect(await bring()).toEqual(weights)
  expect(storageAsked().at(-1)).toMatchObject({ range: null })
})

test('two processes that want the same file fetch it once; the second waits for the first', async () => {
  const { bringing: first } = await bringHeld(1_000)
  const why = Promise.withResolvers<string>()
  const second = bring({
    into: openArtifactFolder(folder),
    onProgress: progress => progress.why !== null && why.resolve(progress.why),
  })
  expect(await why.promise).toBe('another process of this host fetches it')
  hub.resume()
  expect(await first).toEqual(weights)
  expect(await second).toEqual(weights)
  expect(storageAsked()).toHaveLength(15)
})

test('when the first of two gives up, the second goes on with what it left', async () => {
  const stop = new AbortController()
  const { bringing: first } = await bringHeld(1_000, { signal: stop.signal })
  const waits = Promise.withResolvers<void>()
  const second = bring({ onProgress: ({ why }) => why !== null && waits.resolve() })
  await waits.promise
  const sent = hub.sent()
  stop.abort()
  await expect(first).rejects.toThrow()
  expect(await second).toEqual(weights)
  expect(hub.sent() - sent).toBe(bytes - connections * 1_000)
})

test.each(['', '[]', '{"etag":null,"extents":[[5,1]]}', `{"etag":null,"extents":[[0,${bytes}]]}`])(
  'notes that are damaged, or promise what is not there, cost the part and nothing else: %s',
  async text => {
    const stop = new AbortController()
    const { bringing } = await bringHeld(7_000, { signal: stop.signal })
    stop.abort()
    await expect(bringing).rejects.toThrow()
    writeFileSync(`${partFile()}.extents`, text)
    const sent = hub.sent()
    expect(await bring()).toEqual(weights)
    expect(hub.sent() - sent).toBe(bytes)
  },
)

const round = fc.record({
  cuts: fc.array(fc.nat(20_000), { maxLength: 6 }),
  tagChangesAfter: fc.option(fc.nat(12), { freq: 2 }),
  mostOfRange: fc.constantFrom(Infinity, Infinity, 9_000),
  ignoresRange: fc.boolean(),
  chunked: fc.boolean(),
  sendsOther: fc.constantFrom(true, false, false),
  connections: fc.integer({ min: 1, max: 6 }),
  /** More than there were; with more than are missing it comes to its end. */
  endsAfter: fc.integer({ min: 1, max: bytes * 1.5 }),
  killed: fc.boolean(),
})

test('whatever is cut, killed, shortened, changed or forged: a file under its name is the right one', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 4 }), async rounds => {
      rmSync(folder, { recursive: true, force: true })
      for (const each of rounds) {
        await disturbed(each)
        if (store.has(source, file)) expect(readFileSync(store.pathOf(source, file)).equals(weights)).toBe(true)
      }
      hub.behave({})
      expect((await bring()).equals(weights)).toBe(true)
      expect(readdirSync(join(folder, 'parts'))).toEqual([])
    }),
    { numRuns: 25 },
  )
})

/** One try that ends at so many bytes: as one is stopped, or with nothing but what is on the disk at that moment. */
async function disturbed({
  endsAfter,
  killed,
  sendsOther,
  connections: most,
  ...trouble
}: DisturbedRound): Promise<void> {
  hub.behave({ ...trouble, ...(sendsOther && { sends: other }) })
  const end = new AbortController()
  const saved = join(folder, 'saved')
  let isSaved = false
  let before: number | null = null
  const bringing = bring({
    signal: end.signal,
    into: openArtifactFolder(folder, { notes }),
    most,
    onProgress({ doneBytes, totalBytes }) {
      before ??= totalBytes === 0 ? null : doneBytes
      if (before === null || doneBytes < before + endsAfter || isSaved) return
      isSaved = true
      if (killed) save(saved)
      end.abort()
    },
  })
  const error: unknown = await bringing.then(
    () => null,
    (caught: unknown) => caught,
  )
  if (error !== null && !(error instanceof ArtifactError) && !end.signal.aborted) throw error
  if (killed && existsSync(`${saved}.extents`) && existsSync(partFile())) {
    copyFileSync(`${saved}.extents`, `${partFile()}.extents`)
    copyFileSync(saved, partFile())
  }
}

type DisturbedRound = typeof round extends fc.Arbitrary<infer Round> ? Round : never

/** Notes first: what they name was there before them. */
function save(to: string): void {
  const notesFile = `${partFile()}.extents`
  if (!existsSync(notesFile)) return
  copyFileSync(notesFile, `${to}.extents`)
  copyFileSync(partFile(), to)
}

/** Without a pattern, the same in every run. */
function noise(length: number, seed: string): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, i) =>
    createHash('sha256').update(`${seed} ${i}`).digest(),
  )
  return Buffer.concat(blocks).subarray(0, length)
}
