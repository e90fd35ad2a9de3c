import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  artifactListing,
  largestDocument,
  parseMirroredFile,
  parsePublishedVersion,
  parsePushLease,
} from './registry-documents.ts'
import {
  blobPath,
  leftoverName,
  prunePath,
  pushPath,
  readRegistryPath,
  sourcePath,
  versionPath,
  type PublishedVersion,
} from './registry-layout.ts'
import { decidePrune, graceMs } from './registry-prune.ts'

const hex = (letter: string): string => letter.repeat(64)
const commit = '0123456789abcdef0123456789abcdef01234567'
const name = 'production-v1.0-llama3-8b-awq-p42'
const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))

const version: PublishedVersion = {
  schema: 1,
  name,
  digest: hex('a'),
  identity: '{"artifact":"sha256:b"}',
  from: 'file:/models/x',
  artifact: { digest: hex('b'), files: [{ path: 'a/model.gguf', bytes: 5, sha256: hex('c') }] },
  publishedAt: '2026-11-22T10:00:00.000Z',
}
const read = (value: unknown, as = name): unknown => {
  const reading = parsePublishedVersion(bytesOf(value), as)
  return reading.ok ? reading.value : reading.problem
}
const withFile = (file: unknown): unknown =>
  read({ ...version, artifact: { ...version.artifact, files: [...version.artifact.files, file] } })

test('R1 what is published is read back as it was', () => {
  expect(read(version)).toEqual(version)
  expect(read({ ...version, later: 'field' })).toEqual(version)
})

test.each([
  [{ ...version, schema: 2 }, /later release/],
  [{ ...version, name: 'production-v1.1-llama3-8b-awq-p42' }, /says that it is/],
  [{ ...version, digest: hex('A') }, /no SHA-256/],
  [{ ...version, digest: `${hex('a')}\n` }, /no SHA-256/],
  [{ ...version, identity: '[]' }, /identity/],
  [{ ...version, identity: `${'{"a":'.repeat(70)}1${'}'.repeat(70)}` }, /identity/],
  [{ ...version, from: 'a\u001b[2Jb' }, /came from/],
  [{ ...version, publishedAt: 5 }, /when/],
  [{ ...version, artifact: { digest: hex('b'), files: [] } }, /no files/],
  [{ ...version, artifact: { digest: 'x', files: version.artifact.files } }, /no SHA-256/],
  [[], /no JSON object/],
  [null, /no JSON object/],
])('R1 refused: %j', (value, problem) => {
  expect(read(value)).toMatch(problem)
})

test.each([
  '../x',
  '/etc/passwd',
  'a/../b',
  'a//b',
  './a',
  '',
  'a\u0000b',
  'a\\b',
  'a\nb',
  'x'.repeat(5000),
  `${'a/'.repeat(40)}b`,
])('R1 a file of a version can’t be named %j', path => {
  expect(withFile({ path, bytes: 1, sha256: hex('d') })).toMatch(/no path inside/)
})

test('R1 lengths and digests are exact, and no path is there twice', () => {
  for (const bytes of [-1, 1.5, '5', 2 ** 53, null])
    expect(withFile({ path: 'b', bytes, sha256: hex('d') })).toMatch(/no length/)
  expect(withFile({ path: 'b', bytes: 1, sha256: 'd' })).toMatch(/no SHA-256/)
  expect(withFile({ path: 'a/model.gguf', bytes: 1, sha256: hex('d') })).toMatch(/twice/)
  expect(withFile({ path: 'a', bytes: 1, sha256: hex('d') })).toMatch(/a file and a folder/)
  expect(withFile({ path: 'b', bytes: 2 ** 53 - 1, sha256: hex('d') })).toMatch(/larger than any disk/)
  expect(withFile('b')).toMatch(/no object/)
})

test('R1 any bytes are read or refused, soon and without a throw', () => {
  const parse = [(content: Uint8Array) => parsePublishedVersion(content, name), parseMirroredFile, parsePushLease]
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map(text => new TextEncoder().encode(text)),
      ),
      content => {
        for (const one of parse) expect(typeof one(content).ok).toBe('boolean')
      },
    ),
  )
  const brackets = new TextEncoder().encode('['.repeat(largestDocument))
  for (const one of parse) expect(one(brackets)).toMatchObject({ ok: false })
  expect(parseMirroredFile(new Uint8Array(largestDocument + 1))).toMatchObject({ ok: false, problem: /more than/ })
})

test('R1 mirrored files and leases', () => {
  const file = { schema: 1, bytes: 3, sha256: hex('a'), gitSha1: 'b'.repeat(40) }
  expect(parseMirroredFile(bytesOf(file))).toEqual({ ok: true, value: file })
  expect(parseMirroredFile(bytesOf({ ...file, gitSha1: 'b' }))).toMatchObject({ ok: false })
  expect(parseMirroredFile(bytesOf({ ...file, sha256: null }))).toMatchObject({ ok: false })
  const lease = { schema: 1, at: '2026-11-22T10:00:00.000Z', blobs: [hex('a')] }
  expect(parsePushLease(bytesOf(lease))).toEqual({ ok: true, value: lease })
  expect(parsePushLease(bytesOf({ ...lease, blobs: ['../x'] }))).toMatchObject({ ok: false })
})

test('R5 the listing of an artifact does not depend on the order of its files', () => {
  const files = ['b', 'a/x', 'a', 'B'].map((path, at) => ({ path, bytes: at, sha256: hex('a') }))
  expect(artifactListing(files)).toBe(artifactListing(files.toReversed()))
  expect(artifactListing(files.slice(0, 1))).toBe(`[{"bytes":0,"path":"b","sha256":"${hex('a')}"}]`)
})

test('every path of the layout is read back as what it is, and others are foreign', () => {
  expect(readRegistryPath(blobPath(hex('a')))).toEqual({ kind: 'blob', sha256: hex('a') })
  expect(readRegistryPath(versionPath(name))).toEqual({ kind: 'version', name })
  expect(readRegistryPath(pushPath('x'))).toEqual({ kind: 'push' })
  expect(readRegistryPath(prunePath('x'))).toEqual({ kind: 'prune' })
  expect(readRegistryPath(`blobs/sha256/${leftoverName('0b0e7a4e-0000-4000-8000-000000000000')}`)).toEqual({
    kind: 'leftover',
  })
  for (const repository of ['owner/name', 'gpt2', 'a-b/c.d_e'])
    expect(readRegistryPath(sourcePath({ repository, commit }, 'onnx/model.json'))).toEqual({
      ...{ kind: 'source', repository, commit, path: 'onnx/model.json' },
    })
  for (const path of [
    ...['README.md', 'blobs/sha256/abc', `blobs/sha256/${hex('A')}`, 'versions/x.json', 'versions/a/b.json'],
    ...[`sources/hf/a--b@${commit}/../../x.json`, `sources/hf/a--b--c@${commit}/x.json`, 'sources/hf/a--b@main/x.json'],
  ])
    expect(readRegistryPath(path)).toEqual({ kind: 'foreign' })
})

const day = graceMs
const object = (path: string, ageMs = 2 * day) => ({ path, bytes: 1, ageMs })
const nothing = { versions: [], mirrored: new Map(), leased: new Set<string>(), withSources: false }
const pruned = (question: Parameters<typeof decidePrune>[0]): string[] =>
  decidePrune(question).remove.map(each => each.path)

test('R10 only what nothing names, once it is a day old, and no fresh lease names it', () => {
  const [named, mirrored, leased, young, gone] = ['a', 'b', 'c', 'd', 'e'].map(letter => hex(letter))
  const source = sourcePath({ repository: 'a/b', commit }, 'x')
  const left = `versions/${leftoverName('0b0e7a4e-0000-4000-8000-000000000000')}`
  const decided = decidePrune({
    objects: [
      ...[named, mirrored, leased, gone].map(sha256 => object(blobPath(sha256 ?? ''))),
      ...[object(blobPath(young ?? ''), day - 1), object(source), object(versionPath(name)), object('README.md')],
      ...[object(pushPath('old')), object(pushPath('new'), 1), object(left), object(prunePath('old'))],
    ],
    versions: [{ from: 'file:x', sha256: [named ?? ''] }],
    mirrored: new Map([[source, mirrored ?? '']]),
    leased: new Set([leased ?? '']),
    withSources: false,
  })
  expect(decided.remove.map(({ path }) => path)).toEqual([
    blobPath(gone ?? ''),
    left,
    pushPath('old'),
    prunePath('old'),
  ])
  expect(decided.young).toEqual({ files: 1, bytes: 1 })
})

test('R10 sources go when asked for, before their blobs; those that a version came from, that are new or counted on, stay', () => {
  const path = sourcePath({ repository: 'a/b', commit }, 'x')
  const other = sourcePath({ repository: 'a/b', commit }, 'y')
  const question = {
    ...nothing,
    objects: [object(blobPath(hex('a'))), object(path)],
    mirrored: new Map([[path, hex('a')]]),
    withSources: true,
  }
  expect(pruned({ ...question, withSources: false })).toEqual([])
  expect(pruned(question)).toEqual([path, blobPath(hex('a'))])
  expect(pruned({ ...question, versions: [{ from: `hf:a/b@${commit.slice(0, 7)}:x`, sha256: [] }] })).toEqual([])
  expect(pruned({ ...question, versions: [{ from: `hf:a/c@${commit}`, sha256: [] }] })).toHaveLength(2)
  expect(pruned({ ...question, versions: [{ from: 'file:x', sha256: [hex('a')] }] })).toEqual([path])
  expect(pruned({ ...question, leased: new Set([hex('a')]) })).toEqual([])
  const grown = {
    objects: [...question.objects, object(other, 1)],
    mirrored: new Map([
      [path, hex('a')],
      [other, hex('b')],
    ]),
  }
  expect(pruned({ ...question, ...grown })).toEqual([])
})

test('R6 R10 whatever is there, nothing that a version, a kept source or a lease names is decided to go', () => {
  const blob = fc.integer({ min: 0, max: 15 }).map(number => hex(number.toString(16)))
  fc.assert(
    fc.property(
      fc.array(fc.tuple(blob, fc.nat(3 * day))),
      fc.array(fc.array(blob)),
      fc.tuple(fc.array(blob), fc.array(blob), fc.boolean()),
      (blobs, versions, [leased, mirrored, withSources]) => {
        const paths = mirrored.map((_, at) => sourcePath({ repository: `o/r${at % 3}`, commit }, `f${at}`))
        const { remove } = decidePrune({
          objects: [
            ...blobs.map(([sha256, ageMs]) => object(blobPath(sha256), ageMs)),
            ...paths.map(path => object(path)),
          ],
          versions: versions.map(sha256 => ({ from: 'file:x', sha256 })),
          mirrored: new Map(paths.map((path, at) => [path, mirrored[at] ?? ''])),
          ...{ leased: new Set(leased), withSources },
        })
        const gone = new Set(remove.map(({ path }) => path))
        const kept = [...versions.flat(), ...leased, ...mirrored.filter((_, at) => !gone.has(paths[at] ?? ''))]
        for (const sha256 of kept) expect(gone.has(blobPath(sha256))).toBe(false)
      },
    ),
  )
})
