import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { inlinePrompts, parseSpec, withDefaults } from '../spec/index.ts'
import type { Spec } from '../spec/index.ts'
import { canonicalJson } from './canonical.ts'
import { compileSnapshot, engineAssignments, versionIdentity } from './compile.ts'
import { openEdge, plainModel, unknownCost } from './earlier-snapshot.ts'

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')
const ports = { digest, socketFor: (id: string) => `/run/${id}.sock`, pathOf: (from: string) => `/weights/${from}` }

const spec = (document: unknown): Spec => {
  const reading = parseSpec(document)
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems))
  return reading.spec
}

const embedded = ({
  sampling = {},
  flags = {},
  replica = 'r',
  text = 'Be brief.',
  description = 'x',
}: {
  sampling?: object
  flags?: object
  replica?: string
  text?: string
  description?: string
} = {}) =>
  spec({
    prompts: { p1: { text } },
    versions: [
      {
        name: 'dev-v1-a-q8-0-p1',
        description,
        artifact: { from: 'builtin:smoke' },
        engine: { kind: 'embedded', flags },
        sampling,
        replicas: [{ id: replica }],
      },
    ],
    models: [{ name: 'chat', live: 'dev-v1-a-q8-0-p1' }],
  })

test('the empty spec becomes smoke on its socket, with the limits of the schema', () => {
  const snapshot = compileSnapshot(withDefaults(spec({})), ports)
  expect(snapshot).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{64}$/),
    service: 'holdfast',
    flags: [],
    models: [
      { name: 'smoke', live: 'dev-v1.0-smoke-2m-q8-0-p0', queue: { waiting: 200, deadline: 30_000 }, ...plainModel },
    ],
    versions: [
      {
        name: 'dev-v1.0-smoke-2m-q8-0-p0',
        engine: 'embedded',
        servedName: null,
        task: 'chat',
        prompt: { id: 'p0', text: '', mode: 'prepend' },
        sampling: {},
        replicas: [
          {
            id: 'smoke',
            address: { socket: '/run/smoke.sock' },
            metrics: null,
            apiKey: null,
            backup: false,
            weight: 1,
            places: 8,
            managed: true,
          },
        ],
        cost: unknownCost,
      },
    ],
    limits: { body: 20 * 1024 ** 2, inFlight: 2000, firstByte: 120_000, idle: 60_000, request: 900_000 },
    health: { stall: 30_000, canary: 60_000 },
    maxStale: 86_400_000,
    jwt: [],
    edge: openEdge,
    sharedLimits: 'local',
    whenUnwritable: 'serve',
  })
  expect(engineAssignments(withDefaults(spec({})), ports)).toMatchObject([
    {
      replica: 'smoke',
      version: 'dev-v1.0-smoke-2m-q8-0-p0',
      socket: '/run/smoke.sock',
      gguf: '/weights/builtin:smoke',
      context: 512,
      sequences: 8,
      threads: null,
    },
  ])
})

test('the id is the digest of the behaviour: key order does not count, a sampling default does', () => {
  const id = (value: Spec): string => compileSnapshot(value, ports).id
  expect(id(embedded({ sampling: { a: 1, b: 2 } }))).toBe(id(embedded({ sampling: { b: 2, a: 1 } })))
  expect(id(embedded({ sampling: { a: 1 } }))).not.toBe(id(embedded({ sampling: { a: 2 } })))
  expect(id(embedded({ description: 'other' }))).toBe(id(embedded()))
})

test('replicas with a url keep their engine kind, key reference, weight and place in reserve', () => {
  const url = 'http://10.0.0.1:8000/v1'
  const [version] = compileSnapshot(
    spec({
      hosts: [{ name: 'h' }],
      versions: [
        {
          name: 'dev-v1-a-awq-p0',
          artifact: { from: 'hf:a/b@1234567' },
          engine: { kind: 'vllm', servedName: 'A', task: 'embed' },
          replicas: [
            { id: 'x', url: `${url}/`, apiKey: '${env:K}', backup: true, weight: 2 },
            { id: 'y', host: 'h', port: 1 },
          ],
        },
      ],
      models: [{ name: 'chat', live: 'dev-v1-a-awq-p0' }],
    }),
    ports,
  ).versions
  expect(version).toMatchObject({ engine: 'vllm', servedName: 'A', task: 'embed' })
  expect(version?.replicas).toEqual([
    {
      id: 'x',
      address: { url },
      metrics: null,
      apiKey: '${env:K}',
      backup: true,
      weight: 2,
      places: null,
      managed: false,
    },
  ])
})

test('versions without a model are neither routed nor run, and neither is a repository without a GGUF file', () => {
  const version = (name: string, from: string) => ({
    name,
    artifact: { from },
    engine: { kind: 'embedded' },
    replicas: [{ id: name }],
  })
  const value = spec({
    versions: [
      version('dev-v1-a-q8-0-p0', 'builtin:smoke'),
      version('dev-v2-a-q8-0-p0', 'builtin:smoke'),
      version('dev-v3-a-q8-0-p0', 'hf:a/b@1234567'),
      version('dev-v4-a-q8-0-p0', 'hf:a/b@1234567:c.gguf'),
    ],
    models: [
      { name: 'one', live: 'dev-v1-a-q8-0-p0' },
      { name: 'same', live: 'dev-v1-a-q8-0-p0' },
      { name: 'whole', live: 'dev-v3-a-q8-0-p0' },
      { name: 'far', live: 'dev-v4-a-q8-0-p0' },
    ],
  })
  expect(compileSnapshot(value, ports).versions.map(({ name, replicas }) => [name, replicas.length])).toEqual([
    ['dev-v1-a-q8-0-p0', 1],
    ['dev-v3-a-q8-0-p0', 0],
    ['dev-v4-a-q8-0-p0', 1],
  ])
  expect(engineAssignments(value, ports).map(({ version: name, source }) => [name, source])).toEqual([
    ['dev-v1-a-q8-0-p0', null],
    ['dev-v4-a-q8-0-p0', 'hf:a/b@1234567:c.gguf'],
  ])
})

test('an agent is told the registry to look in, with the reference to its secret, and the digest of a file', () => {
  const from = {
    'dev-v1-a-q8-0-p0': 'hf:a/b@1234567:c.gguf',
    'dev-v2-a-q8-0-p0': `file:c.gguf@sha256:${'ab'.repeat(32)}`,
  }
  const mirror = { name: 'mirror', kind: 's3' as const, url: 's3://models', token: '${env:S3_TOKEN}' }
  const value = spec({
    registry: [mirror],
    versions: Object.entries(from).map(([name, artifact], at) => ({
      ...{ name, engine: { kind: 'embedded' as const }, replicas: [{ id: `r${at}` }] },
      artifact: { from: artifact, ...(at === 0 && { registry: 'mirror' }) },
    })),
    models: Object.keys(from).map((live, at) => ({ name: `m${at}`, live })),
  })
  const [first, second] = engineAssignments(value, ports)
  expect(first).toMatchObject({ source: from['dev-v1-a-q8-0-p0'], registry: { ...mirror, only: false } })
  expect(first).not.toHaveProperty('sha256')
  expect(second).toMatchObject({ source: null, sha256: 'ab'.repeat(32) })
  expect(second).not.toHaveProperty('registry')
})

test('an engine is replaced when its flags change, and not for a prompt or a sampling default', () => {
  const engine = (value: Spec) => engineAssignments(value, ports)[0]?.digest
  expect(engine(embedded({ text: 'Other.', sampling: { temperature: 1 } }))).toBe(engine(embedded()))
  expect(engine(embedded({ flags: { threads: 2 } }))).not.toBe(engine(embedded()))
})

test('a version’s identity holds everything that changes answers, and nothing else', () => {
  const identity = (value: Spec): string =>
    value.versions.map(version => digest(versionIdentity(value, version))).join()
  const plain = identity(embedded())
  expect(identity(embedded({ replica: 'other', description: 'other' }))).toBe(plain)
  for (const changed of [
    embedded({ text: 'Other.' }),
    embedded({ sampling: { top_p: 1 } }),
    embedded({ flags: { sequences: 2 } }),
  ]) {
    expect(identity(changed)).not.toBe(plain)
  }
})

test('a prompt file’s text counts as the same text written in place', () => {
  const inPlace = embedded({ text: 'Be brief.' })
  const { text: _, ...prompt } = inPlace.prompts['p1'] ?? { mode: 'prepend' as const }
  const fromFile = inlinePrompts(
    { ...inPlace, prompts: { p1: { ...prompt, file: 'a.md' } } },
    new Map([['a.md', 'Be brief.']]),
  )
  const [one] = inPlace.versions
  expect(one && versionIdentity(fromFile, one)).toBe(one && versionIdentity(inPlace, one))
  expect(() => compileSnapshot({ ...inPlace, prompts: { p1: { ...prompt, file: 'a.md' } } }, ports)).toThrow(
    /inline prompt files/,
  )
})

test('canonical JSON sorts keys and drops what is undefined', () => {
  expect(canonicalJson({ b: [1, { d: null, c: undefined }], a: 'x' })).toBe('{"a":"x","b":[1,{"d":null}]}')
})
