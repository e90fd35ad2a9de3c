import { createServer, type RequestListener } from 'node:http'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startFakeEngine } from '../../../tools/fake-engine/index.ts'
import { parseSpec, type SpecInput } from '../../domain/spec/index.ts'
import { toFragment } from './fragment.ts'

let folder: string
const closers: (() => Promise<unknown>)[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hf-fragment-'))
})
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
  rmSync(folder, { recursive: true, force: true })
})

const nothing = { gguf: null, model: null, engine: null, engineKey: null }

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

/** An engine that serves models of these ids, read anew for each request. */
const engineOf = (ids: () => string[]) =>
  listen((_, response) => void response.end(JSON.stringify({ data: ids().map(id => ({ id })) })))

function gguf(name: string): string {
  const path = join(folder, name)
  writeFileSync(path, '')
  return path
}

/** The spec that the fragment is; throws with every problem when it is none. */
function specOf(fragment: SpecInput | null) {
  const reading = parseSpec(fragment)
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems))
  return reading.spec
}

test('nothing asked for adds nothing', async () => {
  expect(await toFragment(nothing)).toBeNull()
})

test.each([
  [
    'Qwen2.5-Coder-7B-Instruct-Q4_K_M.gguf',
    'qwen2-5-coder-7b-instruct',
    'dev-v1.0-qwen2-5-coder-7b-instruct-q4-k-m-p0',
  ],
  ['smollm.Q8_0.gguf', 'smollm', 'dev-v1.0-smollm-q8-0-p0'],
  ['model.GGUF', 'model', 'dev-v1.0-model-fp16-p0'],
  ['тест.gguf', 'model', 'dev-v1.0-model-fp16-p0'],
])('%s is served as %s', async (file, model, version) => {
  const path = gguf(file)
  const spec = specOf(await toFragment({ ...nothing, gguf: path }))
  expect(spec.models).toMatchObject([{ name: model, live: version }])
  expect(spec.versions).toMatchObject([
    { name: version, artifact: { from: `file:${path}` }, engine: { kind: 'embedded' } },
  ])
})

test('a file that is not there is told with its whole path', async () => {
  await expect(toFragment({ ...nothing, gguf: './nowhere.gguf' })).rejects.toThrow(
    /--gguf: there is no file \/.*nowhere\.gguf/,
  )
})

test('weights on the hub are served by their file’s name, a split model by its first part’s', async () => {
  const from = 'hf:a/b@4f1c2d9e:q4/Qwen2.5-7B-Q4_K_M-00001-of-00002.gguf'
  const spec = specOf(await toFragment({ ...nothing, model: from }))
  expect(spec.models).toMatchObject([{ name: 'qwen2-5-7b', live: 'dev-v1.0-qwen2-5-7b-q4-k-m-p0' }])
  expect(spec.versions).toMatchObject([
    { artifact: { from }, engine: { kind: 'embedded' }, replicas: [{ id: 'qwen2-5-7b' }] },
  ])
})

test('each model of an engine keeps its name, and the engine is asked for it by that name', async () => {
  const url = await engineOf(() => ['meta-llama/Llama-3.1-8B-Instruct', 'qwen2.5:7b-instruct-q4_K_M'])
  const spec = specOf(await toFragment({ ...nothing, engine: url }))
  expect(spec.models.map(({ name, live }) => [name, live])).toEqual([
    ['meta-llama/Llama-3.1-8B-Instruct', 'dev-v1.0-meta-llama-llama-3-1-8b-instruct-fp16-p0'],
    ['qwen2.5:7b-instruct-q4_K_M', 'dev-v1.0-qwen2-5-7b-instruct-q4-k-m-p0'],
  ])
  expect(spec.versions).toMatchObject([
    { engine: { kind: 'openai', servedName: 'meta-llama/Llama-3.1-8B-Instruct' }, replicas: [{ url: `${url}/v1` }] },
    { engine: { kind: 'openai', servedName: 'qwen2.5:7b-instruct-q4_K_M' } },
  ])
})

test('an engine that tells what it is is served as that, and a version’s name says how its weights are quantised', async () => {
  const fake = await startFakeEngine({ name: 'llama3:8b', dialect: 'ollama' })
  closers.push(() => fake.close())
  const spec = specOf(await toFragment({ ...nothing, engine: fake.url }))
  expect(spec.versions).toMatchObject([
    { name: 'dev-v1.0-llama3-8b-q4-k-m-p0', engine: { kind: 'ollama', servedName: 'llama3:8b' } },
  ])
})

test('the engine’s key is a reference, never the key', async () => {
  const url = await listen((request, response) => {
    response.writeHead(request.headers.authorization === 'Bearer secret' ? 200 : 401).end('{"data":[{"id":"m"}]}')
  })
  const fragment = await toFragment({ ...nothing, engine: url, engineKey: 'secret' })
  expect(JSON.stringify(fragment)).not.toContain('secret')
  expect(specOf(fragment).versions[0]?.replicas[0]?.apiKey).toBe('${env:HOLDFAST_ENGINE_KEY}')
})

test('an address is taken with or without its path', async () => {
  const url = await engineOf(() => ['m'])
  for (const address of [url, `${url}/`, `${url}/v1`, `${url}/v1/`]) {
    expect(specOf(await toFragment({ ...nothing, engine: address })).versions[0]?.replicas[0]?.url).toBe(`${url}/v1`)
  }
})

test('what is no address, does not answer, or serves nothing is told so', async () => {
  for (const address of ['nonsense', 'ftp://127.0.0.1/v1', '127.0.0.1:8000']) {
    await expect(toFragment({ ...nothing, engine: address })).rejects.toThrow(/is not an http address/)
  }
  const gone = await engineOf(() => [])
  await expect(toFragment({ ...nothing, engine: gone })).rejects.toThrow(/serves no model yet/)
  await closers.pop()?.()
  await expect(toFragment({ ...nothing, engine: gone })).rejects.toThrow(
    /no OpenAI-compatible engine answers.*(ECONNREFUSED|other side closed)/,
  )
})

test('whatever an engine or a file is called, the fragment is a valid spec, one model for each', async () => {
  let ids: string[] = []
  const url = await engineOf(() => ids)
  const word = fc.constantFrom(
    'llama',
    'Qwen',
    '7B',
    'rc',
    'p1',
    'v2',
    'q4',
    'k',
    'm',
    'fp16',
    'Q4_K_M',
    'awq',
    '模型',
    'x'.repeat(90),
    '@',
    ' ',
    '1',
  )
  const id = fc.oneof(
    fc
      .tuple(fc.array(word, { minLength: 1, maxLength: 6 }), fc.constantFrom('-', '/', ':', '.', '_', ' '))
      .map(([words, by]) => words.join(by)),
    fc.string({ minLength: 1, maxLength: 200 }),
  )
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(id, { minLength: 1, maxLength: 6 }), async names => {
      ids = names
      const spec = specOf(await toFragment({ ...nothing, engine: url }))
      expect(spec.versions.map(({ engine }) => engine.servedName)).toEqual(names)
      expect(spec.models).toHaveLength(names.length)
    }),
    { numRuns: 200 },
  )
  await fc.assert(
    fc.asyncProperty(id, async name => {
      const path = gguf(`${name.replaceAll(/[/\0]/g, '_').slice(0, 60)}.gguf`)
      expect(specOf(await toFragment({ ...nothing, gguf: path })).models).toHaveLength(1)
    }),
    { numRuns: 100 },
  )
})

test('ids that only differ beyond what a name can say are told apart', async () => {
  const long = 'x'.repeat(100)
  const url = await engineOf(() => ['a/b', 'a-b', 'A.B', `${long}1`, `${long}2`, '模', '型'])
  const spec = specOf(await toFragment({ ...nothing, engine: url }))
  expect(new Set(spec.versions.map(({ name }) => name)).size).toBe(7)
  expect(new Set(spec.versions.flatMap(({ replicas }) => replicas.map(replica => replica.id))).size).toBe(7)
})
