import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { ArtifactError, blobPath, graceMs, pushPath, sourcePath, versionPath } from '../../domain/catalog/index.ts'
import { parseSpec, type Spec } from '../../domain/spec/index.ts'
import { digestFiles } from './digest-files.ts'
import { sha256Of } from './documents.ts'
import { fakeFiles, openFakeClock, openFakePlace, type FakePlace } from './fake.ts'
import { whyNotLoadable } from './loadable.ts'
import { nameMirrored } from './mirror.ts'
import { withPatience } from './patience.ts'
import type { ObjectPlace } from './ports.ts'
import type { RegistryProgress } from './progress.ts'
import { prune } from './prune.ts'
import { publishVersion } from './publish.ts'
import { pushFiles } from './push.ts'
import { openRegistrySource } from './source.ts'
import { summarise } from './summary.ts'
import { verifyRegistry, verifyStore } from './verify.ts'

const { signal } = new AbortController()
const commit = '0123456789abcdef0123456789abcdef01234567'
const hub = { kind: 'hf', repository: 'owner/name', commit, file: null } as const
const name = 'production-v1.0-smoke-q8-0-p0'
const folder = { 'a.gguf': 'the weights', 'adapter/x.bin': 'an adapter', 'copy.gguf': 'the weights' }
const weights = blobPath(sha256Of('the weights'))
const adapter = blobPath(sha256Of('an adapter'))

function specWith(version: object = {}): Spec {
  const reading = parseSpec({
    ...{ apiVersion: 'holdfast/v1', name: 'x' },
    versions: [{ name, artifact: { from: 'file:/models/x' }, engine: { kind: 'llama-cpp' }, ...version }],
  })
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems))
  return reading.spec
}

let ids = 0
const newId = (): string => `id-${++ids}`

async function push(place: ObjectPlace, files: Record<string, string> = folder, settle = () => Promise.resolve()) {
  const from = fakeFiles(files)
  const told: RegistryProgress[] = []
  const onProgress = (progress: RegistryProgress): number => told.push({ ...progress })
  const digested = await digestFiles(from, { signal, onProgress })
  const clock = openFakeClock()
  return { told, ...(await pushFiles(place, { from, files: digested, newId, settle, clock, signal, onProgress })) }
}

type Publishing = { spec?: Spec; files?: Record<string, string>; chatTemplate?: string | null }

async function publish(
  place: ObjectPlace,
  { spec = specWith(), files = folder, chatTemplate = null }: Publishing = {},
) {
  const from = fakeFiles(files)
  const digested = await digestFiles(from, { signal, onProgress: () => {} })
  const [version] = spec.versions
  if (version === undefined) throw new Error('no version')
  return publishVersion(place, {
    ...{ spec, version, files: digested, from, newId, clock: openFakeClock(), signal, onProgress: () => {} },
    ...{ chatTemplate, mirror: null },
  })
}

const paths = ({ objects }: FakePlace): string[] => [...objects.keys()].toSorted()
const order = () => ({ clock: openFakeClock(), signal, onProgress: () => {} })

test('R2 each blob is sent once, and not again; one of another length is', async () => {
  const fake = openFakePlace()
  expect(await push(fake.place)).toMatchObject({ sent: { files: 2, bytes: 21 }, kept: { files: 0 } })
  expect(paths(fake)).toEqual([weights, adapter].toSorted())
  expect(await push(fake.place)).toMatchObject({ sent: { files: 0 }, kept: { files: 2, bytes: 21 } })
  fake.put(weights, 'cut off')
  expect(await push(fake.place)).toMatchObject({ sent: { files: 1, bytes: 11 }, kept: { files: 1 } })
})

test('R2 a place without room is told so before the first byte', async () => {
  const fake = openFakePlace({ freeBytes: 20 })
  await expect(push(fake.place)).rejects.toThrow(/21 bytes of a folder .* memory has room for 20 bytes/)
  expect(paths(fake)).toEqual([])
})

test('R3 R4 the lease is there before the first blob, names all of them, and settling comes last of all', async () => {
  const { place, objects } = openFakePlace()
  const seen: string[] = []
  const watched: ObjectPlace = {
    ...place,
    async write(path, upload, stop) {
      const [lease] = [...objects].filter(([each]) => each.startsWith('pushes/'))
      const { blobs } = JSON.parse(new TextDecoder().decode(lease?.[1].content)) as { blobs: string[] }
      expect(blobs.map(blobPath).toSorted()).toEqual([weights, adapter].toSorted())
      await place.write(path, upload, stop)
      seen.push(path)
    },
  }
  await push(watched, folder, () => {
    expect(objects.has(weights) && objects.has(adapter)).toBe(true)
    expect([...objects.keys()].filter(path => path.startsWith('pushes/'))).toHaveLength(2)
    seen.push('settled')
    return Promise.resolve()
  })
  expect(seen.toSorted()).toEqual([adapter, weights, 'settled'].toSorted())
  expect(seen.at(-1)).toBe('settled')
  expect([...objects.keys()].filter(path => path.startsWith('pushes/'))).toEqual([])
})

test('R3 a push that fails leaves no lease, and one that may not remove succeeds; R4 blobs that vanish are sent again, and not for ever', async () => {
  const { place, objects } = openFakePlace()
  const failing = { ...place, write: () => Promise.reject(new ArtifactError('never', 'no')) }
  await expect(push(failing)).rejects.toThrow('no')
  expect([...objects.keys()]).toEqual([])
  const addOnly = { ...place, remove: () => Promise.reject(new ArtifactError('never', 'this user may not delete')) }
  expect(await push(addOnly)).toMatchObject({ sent: { files: 2 } })
  const vanishing: ObjectPlace = { ...place, head: () => Promise.resolve(null) }
  await expect(push(vanishing)).rejects.toThrow(/vanish from memory/)
})

test('R4 a look at blobs that is half a day old is none: it is done again before settling', async () => {
  const clock = openFakeClock()
  const { place, objects } = openFakePlace({ now: clock.ms })
  const from = fakeFiles(folder)
  const files = await digestFiles(from, { signal, onProgress: () => {} })
  let looks = 0
  const slow: ObjectPlace = {
    ...place,
    async head(path, stop) {
      const is = await place.head(path, stop)
      // In the second round the look takes long, and somebody removes a blob meanwhile.
      if (++looks === 4) {
        clock.pass(13 * 3_600_000)
        objects.delete(weights)
      }
      return is
    },
  }
  await pushFiles(slow, {
    ...{ from, files, newId, clock, signal, onProgress: () => {} },
    settle: () => {
      expect(objects.has(weights)).toBe(true)
      return Promise.resolve()
    },
  })
  expect(looks).toBeGreaterThan(4)
})

test('R6 a push waits for a running prune and says so, and for a dead one at most an hour', async () => {
  const clock = openFakeClock()
  const { place, put } = openFakePlace({ now: clock.ms })
  put('prunes/dead.json', '{}')
  const told: string[] = []
  const from = fakeFiles(folder)
  const files = await digestFiles(from, { signal, onProgress: () => {} })
  const began = clock.ms()
  await pushFiles(place, {
    ...{ from, files, newId, clock, signal, settle: () => Promise.resolve() },
    onProgress: ({ why }) => void (why !== null && told.push(why)),
  })
  expect(told[0]).toBe('memory is being pruned (prunes/dead.json): waiting until that is over')
  expect(clock.ms() - began).toBe(3_600_000)
})

test('R5 the same again is told so, wherever it came from; R1 what it is can be computed again', async () => {
  const { place, objects } = openFakePlace()
  const published = await publish(place)
  expect(published.outcome).toBe('published')
  expect(JSON.parse(new TextDecoder().decode(objects.get(versionPath(name))?.content))).toEqual(published.version)
  expect(published.version.digest).toBe(createHash('sha256').update(published.version.identity).digest('hex'))
  const moved = await publish(place, { spec: specWith({ artifact: { from: `hf:owner/name@${commit}` } }) })
  expect(moved).toMatchObject({ outcome: 'already', version: published.version })
})

test('R5 another meaning is refused with every difference and a free name, before anything is sent', async () => {
  const fake = openFakePlace()
  await publish(fake.place)
  fake.put(versionPath('production-v1.1-smoke-q8-0-p0'), '{}')
  const before = paths(fake)
  const sampling = await publish(fake.place, { spec: specWith({ sampling: { temperature: 0.5 } }) })
  expect(sampling).toMatchObject({
    ...{ outcome: 'taken', free: 'production-v1.2-smoke-q8-0-p0' },
    differences: ['sampling.temperature was not set and is 0.5'],
  })
  const files = await publish(fake.place, { files: { ...folder, 'a.gguf': 'other weights', 'new': '1' } })
  expect(files).toMatchObject({ outcome: 'taken' })
  const differences = files.outcome === 'taken' ? files.differences : []
  expect(differences[0]).toMatch(/^artifact was "sha256:/)
  expect(differences.slice(1).join('\n')).toMatch(
    /a\.gguf was [0-9a-f]{12}… and is [0-9a-f]{12}…\nnew was not there and is/,
  )
  const template = await publish(fake.place, {
    spec: specWith({ chatTemplate: 'x.jinja' }),
    chatTemplate: sha256Of('x'),
  })
  expect(template).toMatchObject({
    differences: [`chatTemplate was "artifact" and is "sha256:${sha256Of('x').slice(0, 52)}…`],
  })
  expect(paths(fake)).toEqual(before)
})

test('R5 whoever comes second in a race is told what the first one wrote', async () => {
  const { place } = openFakePlace()
  let raced = false
  const late: ObjectPlace = {
    ...place,
    async create(path, content, stop) {
      if (path === versionPath(name) && !raced) {
        raced = true
        await publish(place, { spec: specWith({ sampling: { temperature: 0.5 } }) })
      }
      return place.create(path, content, stop)
    },
  }
  expect(await publish(late)).toMatchObject({
    ...{ outcome: 'taken', differences: ['sampling.temperature was 0.5 and is not set'] },
  })
})

test('R5 R1 a version that somebody changed in the registry is not compared with, but told', async () => {
  const { place, objects, put } = openFakePlace()
  const { version } = await publish(place)
  for (const changed of [
    { ...version, identity: version.identity.replace('llama-cpp', 'vllm') },
    { ...version, artifact: { ...version.artifact, files: version.artifact.files.slice(1) } },
  ]) {
    put(versionPath(name), JSON.stringify(changed))
    await expect(publish(place)).rejects.toThrow(/can't be used: its (identity|list of files) was changed/)
  }
  put(versionPath(name), 'x'.repeat(2_000_000))
  await expect(publish(place)).rejects.toThrow(/more than 1048576 bytes/)
  expect(objects.size).toBe(3)
})

test('R5 publishing again sends what was lost', async () => {
  const { place, objects } = openFakePlace()
  await publish(place)
  objects.delete(weights)
  expect(await publish(place)).toMatchObject({ outcome: 'already', sent: { files: 1 } })
  expect(objects.has(weights)).toBe(true)
})

const gguf: Parameters<typeof whyNotLoadable>[1] = {
  ...{ format: 'gguf', pickle: null, engines: [] },
  quantisation: { name: 'q8-0', bitsPerWeight: 8.5 },
}
const ofKind = (kind: 'vllm' | 'openai' | 'llama-cpp', version = name) => {
  const [is] = specWith({ engine: { kind }, name: version }).versions
  if (is === undefined) throw new Error('no version')
  return is
}

test('R8 what the engine does not take, what runs code and what is named wrongly is not published', () => {
  const inspection = { ...gguf, engines: [{ engine: 'vllm', ok: false, why: 'it reads one file' }] }
  expect(whyNotLoadable(ofKind('vllm'), inspection)).toEqual(['vllm does not take it: it reads one file'])
  expect(whyNotLoadable(ofKind('openai'), inspection)).toEqual([])
  expect(whyNotLoadable(ofKind('llama-cpp'), { ...gguf, engines: [] })).toEqual([])
  const pickle = { imports: [{ name: 'os.system', times: 1, verdict: 'refused' as const }], calls: [] }
  expect(whyNotLoadable(ofKind('openai'), { ...gguf, format: 'pytorch', pickle })[0]).toMatch(/run code \(os\.system\)/)
  const q4 = 'production-v1.0-smoke-q4-k-m-p0'
  expect(whyNotLoadable(ofKind('openai', q4), gguf)).toEqual([
    'the name says q4-k-m, and the file is q8-0: name the version after what it is',
  ])
  expect(whyNotLoadable(ofKind('openai', q4), { ...gguf, format: 'safetensors' })).toEqual([])
})

test('R9 all is well until something is missing, of another length, of another digest, or unreadable', async () => {
  const { place, objects, put } = openFakePlace()
  const { version } = await publish(place)
  expect(await verifyRegistry(place, { kind: 'all' }, order())).toEqual({
    ...{ versions: 1, sources: 0, files: 2, bytes: 21, findings: [] },
  })
  const problems = async () => {
    const { findings } = await verifyRegistry(place, { kind: 'version', name }, order())
    return findings.map(({ problem, path, neededBy }) => `${problem} ${path} ${neededBy.join()}`)
  }
  put(weights, 'The weights')
  expect(await problems()).toEqual([`wrong digest ${weights} ${name}`])
  put(weights, 'the weight')
  expect(await problems()).toEqual([`wrong length ${weights} ${name}`])
  objects.delete(weights)
  expect(await problems()).toEqual([`missing ${weights} ${name}`])
  put(weights, 'the weights')
  const breaking: ObjectPlace = {
    ...place,
    async *read(path, range, stop) {
      if (path === weights) throw new ArtifactError('later', 'the disk is broken')
      yield* place.read(path, range, stop)
    },
  }
  expect((await verifyRegistry(breaking, { kind: 'all' }, order())).findings).toEqual([
    { path: weights, problem: 'unreadable', say: 'the disk is broken', neededBy: [name] },
  ])
  put(versionPath(name), JSON.stringify({ ...version, digest: 'f'.repeat(64) }))
  expect(await problems()).toEqual([`unreadable ${versionPath(name)} `])
  await expect(verifyRegistry(place, { kind: 'version', name: 'x' }, order())).rejects.toThrow(
    /memory has no versions\/x/,
  )
})

test('R9 the host’s own store, by both kinds of digests', async () => {
  const { place, put } = openFakePlace()
  const git = createHash('sha1').update('blob 5\0hello').digest('hex')
  put(`sha256/${sha256Of('one')}`, 'one')
  put(`git-sha1/${git}`, 'hello')
  put('parts/sha256-x', 'half')
  expect(await verifyStore(place, null, order())).toMatchObject({ files: 2, findings: [] })
  put(`git-sha1/${git}`, 'Hello')
  expect(await verifyStore(place, null, order())).toMatchObject({ findings: [{ problem: 'wrong digest' }] })
  expect(await verifyStore(place, new Set([`sha256/${sha256Of('one')}`]), order())).toMatchObject({
    files: 1,
    findings: [],
  })
})

test('R10 told first, removed when asked for; with a document that can’t be read nothing goes', async () => {
  const { place, objects, put } = openFakePlace({ now: () => Date.UTC(2026, 10, 22) })
  const clock = openFakeClock()
  const run = (remove: boolean) => prune(place, { remove, withSources: false, newId, clock, signal })
  const lost = blobPath(sha256Of('lost'))
  put(lost, 'lost', graceMs)
  put(blobPath(sha256Of('new')), 'new', graceMs - 1)
  put(pushPath('dead'), '{}', graceMs)
  expect(await run(false)).toMatchObject({ removed: [{ path: lost }, { path: pushPath('dead') }], young: { files: 1 } })
  expect(objects.size).toBe(3)
  put(versionPath(name), '{')
  await expect(run(true)).rejects.toThrow(`nothing of memory is removed: ${versionPath(name)}`)
  objects.delete(versionPath(name))
  put(pushPath('garbage'), 'garbage')
  await expect(run(true)).rejects.toThrow(/pushes\/garbage\.json of memory can't be used/)
  objects.delete(pushPath('garbage'))
  expect(objects.size).toBe(3)
  expect((await run(true)).left).toEqual([])
  expect([...objects.keys()]).toEqual([blobPath(sha256Of('new'))])
})

test('R10 a prune stops after half an hour, long before pushes take it for dead', async () => {
  const clock = openFakeClock()
  const { place, put } = openFakePlace({ now: clock.ms })
  for (const text of ['a', 'b', 'c']) put(blobPath(sha256Of(text)), text, graceMs)
  const slow: ObjectPlace = {
    ...place,
    async remove(path, stop) {
      await place.remove(path, stop)
      if (path.startsWith('blobs/')) clock.pass(20 * 60_000)
    },
  }
  const { removed, left } = await prune(slow, { remove: true, withSources: false, newId, clock, signal })
  expect([removed.length, left.length]).toEqual([2, 1])
})

async function mirror(place: ObjectPlace, at: string, files: Record<string, string>): Promise<void> {
  const digested = await digestFiles(fakeFiles(files), { signal, onProgress: () => {} })
  await push(place, files)
  await nameMirrored(place, { source: { repository: hub.repository, commit: at }, files: digested }, signal)
}

test('R11 a mirrored file is found by its commit or the beginning of it, and read in ranges', async () => {
  const { place } = openFakePlace()
  await mirror(place, commit, { 'config.json': '{}', 'onnx/a b.onnx': 'weights' })
  const source = openRegistrySource(place)
  for (const short of [hub, { ...hub, commit: commit.slice(0, 7) }]) {
    expect(await source.list(short, signal)).toEqual([
      { path: 'config.json', bytes: 2 },
      { path: 'onnx/a b.onnx', bytes: 7 },
    ])
    expect(await source.locate(short, 'onnx/a b.onnx', signal)).toEqual({
      ...{ repository: hub.repository, commit, path: 'onnx/a b.onnx', bytes: 7 },
      digest: { algorithm: 'sha256', hex: sha256Of('weights') },
    })
  }
  expect(await source.locate(hub, 'none', signal)).toBe(null)
  expect(await source.list({ ...hub, commit: 'fffffff' }, signal)).toBe(null)
  expect(await source.locate({ ...hub, repository: 'owner/name2', commit: '0123456' }, 'config.json', signal)).toBe(
    null,
  )
  const file = await source.locate(hub, 'onnx/a b.onnx', signal)
  if (file === null) throw new Error('not found')
  const { offset, to, bytes } = await source.read(file, { offset: 2, to: 5, etag: null }, signal)
  expect([offset, to, await textOf(bytes)]).toEqual([2, 5, 'igh'])
  expect(await textOf((await source.read(file, { offset: 7, etag: null }, signal)).bytes)).toBe('')
})

test('R11 an abbreviation of two commits is refused; so is a blob that is lost or cut off', async () => {
  const { place, objects, put } = openFakePlace()
  await mirror(place, commit, { a: 'one' })
  await mirror(place, `${commit.slice(0, 39)}8`, { a: 'two' })
  const source = openRegistrySource(place)
  await expect(source.locate({ ...hub, commit: commit.slice(0, 8) }, 'a', signal)).rejects.toThrow(
    /2 commits .* more of its/,
  )
  const file = await source.locate(hub, 'a', signal)
  if (file === null) throw new Error('not found')
  put(blobPath(sha256Of('one')), 'on')
  await expect(source.read(file, { offset: 0, etag: null }, signal)).rejects.toThrow(/has 2 bytes and should have 3/)
  objects.delete(blobPath(sha256Of('one')))
  await expect(source.read(file, { offset: 0, etag: null }, signal)).rejects.toThrow(/does not have its bytes/)
})

test('R11 the files of a version are found by its name', async () => {
  const { place } = openFakePlace()
  await publish(place)
  const source = openRegistrySource(place)
  const version = { kind: 'version', name } as const
  expect(await source.list(version, signal)).toHaveLength(3)
  expect(await source.locate(version, 'adapter/x.bin', signal)).toMatchObject({
    repository: name,
    commit: '',
    bytes: 10,
  })
  expect(await source.locate(version, 'none', signal)).toBe(null)
  expect(await source.list({ kind: 'version', name: 'production-v9.0-smoke-q8-0-p0' }, signal)).toBe(null)
})

test('R1 a commit’s file that the registry has otherwise is told, and not replaced', async () => {
  const { place, objects } = openFakePlace()
  await mirror(place, commit, { a: 'one' })
  await mirror(place, commit, { a: 'one' })
  await expect(mirror(place, commit, { a: 'two' })).rejects.toThrow(/a commit never changes/)
  const path = sourcePath({ repository: hub.repository, commit }, 'a')
  expect(JSON.parse(new TextDecoder().decode(objects.get(path)?.content))).toEqual({
    ...{ schema: 1, bytes: 3, sha256: sha256Of('one') },
    gitSha1: createHash('sha1').update('blob 3\0one').digest('hex'),
  })
})

test('what a registry has, in short', async () => {
  const { place, put } = openFakePlace()
  await publish(place)
  await mirror(place, commit, { a: 'one' })
  put(blobPath(sha256Of('lost')), 'lost')
  put('README.md', 'ours?')
  put(versionPath('production-v2.0-smoke-q8-0-p0'), '[')
  expect(await summarise(place, { clock: openFakeClock(), signal })).toMatchObject({
    versions: [{ name, files: 3, bytes: 32, from: 'file:/models/x' }],
    sources: [{ source: `hf:owner/name@${commit}`, files: 1, bytes: 3 }],
    unnamed: { files: 1, bytes: 4 },
    unreadable: [{ path: versionPath('production-v2.0-smoke-q8-0-p0') }],
    foreign: ['README.md'],
  })
})

test('R12 what may be over soon is tried six times in all; the rest is told at once', async () => {
  const { place } = openFakePlace()
  const clock = openFakeClock()
  const failing = (retry: 'soon' | 'later', times: number) => {
    const seen = { calls: 0 }
    const patient = withPatience(
      {
        ...place,
        head: () => {
          if (seen.calls++ < times) throw new ArtifactError(retry, 'busy', { afterMs: 2_000 })
          return Promise.resolve(null)
        },
      },
      clock,
    )
    return { seen, head: () => patient.head('x', signal) }
  }
  const began = clock.ms()
  expect(await failing('soon', 5).head()).toBe(null)
  expect(clock.ms() - began).toBe(10_000)
  const never = failing('soon', 99)
  await expect(never.head()).rejects.toMatchObject({ retry: 'later', message: 'busy' })
  expect(never.seen.calls).toBe(6)
  const once = failing('later', 99)
  await expect(once.head()).rejects.toThrow('busy')
  expect(once.seen.calls).toBe(1)
})

async function textOf(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all).toString()
}
