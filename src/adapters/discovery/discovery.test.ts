import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { startFakeEngine } from '../../../tools/fake-engine/index.ts'
import { askEngine, findEngines, usualPorts } from './index.ts'

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

async function listen(handler: RequestListener): Promise<number> {
  const server = createServer(handler)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closers.push(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  // A TCP server that listens has an address object.
  return (server.address() as AddressInfo).port
}

const idsOf = async (url: string, apiKey: string | null) =>
  (await askEngine(url, apiKey, 1_000)).models.map(({ id }) => id)

const json =
  (body: unknown): RequestListener =>
  (_, response) =>
    void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))

test('engines that run are found with their kind and models, in the order of their ports; others and the own port are passed over', async () => {
  const engines = [
    await startFakeEngine({ name: 'llama3:8b', dialect: 'ollama' }),
    await startFakeEngine({ name: 'qwen', dialect: 'llama-cpp' }),
    await startFakeEngine({ name: 'own' }),
  ]
  for (const engine of engines) closers.push(() => engine.close())
  const page = await listen((_, response) => void response.end('<html>'))
  const refusing = await listen((_, response) => void response.writeHead(401).end())
  const silent = await listen(() => {})
  const closed = await listen(() => {})
  await closers.pop()?.()
  const ports = [...engines.map(({ port }) => port), page, refusing, silent, closed]
  expect(await findEngines(ports, engines[2]?.port ?? 0)).toEqual([
    {
      program: 'Ollama',
      kind: 'ollama',
      url: `http://127.0.0.1:${engines[0]?.port}/v1`,
      models: ['llama3:8b'],
      // The fake's model has half of itself in video memory.
      notes: [expect.stringMatching(/^50 % of llama3:8b is on the CPU/)],
    },
    {
      program: 'llama-server',
      kind: 'llama-cpp',
      url: `http://127.0.0.1:${engines[1]?.port}/v1`,
      models: ['qwen'],
      notes: [],
    },
  ])
})

test.each([
  ['vllm', 'vllm', null],
  ['llama-cpp', 'llama-cpp', 'q8-0'],
  ['ollama', 'ollama', 'q4-k-m'],
  ['sglang', 'sglang', null],
  ['tensorrt-llm', 'tensorrt-llm', null],
  ['triton', 'triton', null],
  ['tgi', 'tgi', expect.toBeOneOf([null, 'bf16', 'fp16'])],
  ['openai', 'openai', null],
] as const)('%s is told for what it is', async (dialect, kind, quantisation) => {
  const engine = await startFakeEngine({ name: 'm', dialect })
  closers.push(() => engine.close())
  const found = await askEngine(`${engine.url}/v1`, null, 2_000)
  expect(found).toMatchObject({ kind, models: [{ id: 'm', quantisation }] })
  expect(engine.state().received).toBe(0)
})

/** A server of these pages; others are 404. */
async function serve(pages: Record<string, unknown>): Promise<string> {
  const port = await listen((request, response) => {
    const page = pages[request.url ?? '']
    if (page === undefined) return void response.writeHead(404).end('not found')
    response.end(typeof page === 'string' ? page : JSON.stringify(page))
  })
  return `http://127.0.0.1:${port}/v1`
}
const models = (...data: unknown[]) => ({ '/v1/models': { object: 'list', data } })

describe('what it is quantised to', () => {
  const told = async (pages: Record<string, unknown>) => (await askEngine(await serve(pages), null, 2_000)).models

  test.each([
    ['Q4_K_M', 'q4-k-m'],
    ['Q4_K - Medium', 'q4-k-m'],
    ['(guessed) Q5_K - Small', 'q5-k-s'],
    ['Q8_0', 'q8-0'],
    ['all F32', 'fp32'],
    ['IQ2_XXS - 2.0625 bpw', 'iq2-xxs'],
    ['F16', 'fp16'],
    ['unknown', null],
    ['', null],
    [7, null],
  ])('llama-server’s %j is %s', async (ftype, quantisation) => {
    expect(await told(models({ id: 'm', owned_by: 'llamacpp', meta: { ftype } }))).toEqual([{ id: 'm', quantisation }])
  })

  test('is in the name of vLLM’s weights, whatever they are served as', async () => {
    const pages = {
      ...models({ id: 'coder', owned_by: 'vllm', root: 'Qwen/Qwen3-32B-AWQ' }),
      '/version': { version: '1' },
    }
    expect(await told(pages)).toEqual([{ id: 'coder', quantisation: 'awq' }])
  })

  test('SGLang and TGI tell it of themselves', async () => {
    const sglang = { ...models({ id: 'm', owned_by: 'sglang' }), '/get_server_info': { quantization: 'fp8' } }
    expect(await told(sglang)).toEqual([{ id: 'm', quantisation: 'fp8' }])
    const info = { model_id: 'meta/x', max_total_tokens: 4096 }
    for (const [dtype, quantisation] of [
      ['torch.bfloat16', 'bf16'],
      ['float16', 'fp16'],
      ['torch.float32', 'fp32'],
      ['odd', null],
    ])
      expect(await told({ ...models({ id: 'm' }), '/info': { ...info, model_dtype: dtype } })).toEqual([
        { id: 'm', quantisation },
      ])
  })
})

test('who only looks like another engine is openai', async () => {
  const kindOf = async (pages: Record<string, unknown>) => (await askEngine(await serve(pages), null, 2_000)).kind
  // A router in front of vLLM, a user of Ollama's, text-embeddings-inference.
  expect(await kindOf(models({ id: 'm', owned_by: 'vllm' }))).toBe('openai')
  expect(await kindOf(models({ id: 'm', owned_by: 'llamacpp' }, { id: 'n', owned_by: 'library' }))).toBe('openai')
  expect(await kindOf({ ...models({ id: 'm' }), '/info': { model_id: 'm', model_type: {} } })).toBe('openai')
  expect(await kindOf({ ...models({ id: 'm' }), '/': 'It works: Ollama is running elsewhere' })).toBe('openai')
  expect(await kindOf({ ...models({ id: 'm' }), '/': 'Ollama is running' })).toBe('ollama')
})

test('a model of which nothing is on the CPU is no news, and a hostile name is no note', async () => {
  const notesOf = async (running: unknown[]) => {
    const pages = { ...models({ id: 'm' }), '/': 'Ollama is running', '/api/ps': { models: running } }
    return (await askEngine(await serve(pages), null, 2_000)).notes
  }
  expect(await notesOf([{ name: 'm', size: 100, size_vram: 100 }])).toEqual([])
  expect(
    await notesOf([{ name: '\u001b[2J', size: 100, size_vram: 10 }, null, { name: 'm', size: 0, size_vram: 0 }]),
  ).toEqual([])
  expect(await notesOf([{ name: 'm', size: 100, size_vram: 35 }])).toEqual([expect.stringContaining('65 % of m')])
})

test('the key is sent, and a refusal names the address and the status', async () => {
  const port = await listen((request, response) => {
    if (request.headers.authorization === 'Bearer k') json({ data: [{ id: 'm' }] })(request, response)
    else response.writeHead(401).end()
  })
  const url = `http://127.0.0.1:${port}/v1`
  expect(await idsOf(url, 'k')).toEqual(['m'])
  await expect(askEngine(url, null, 1_000)).rejects.toThrow(`${url}/models answers 401`)
})

test('what answers otherwise than an engine is told apart', async () => {
  for (const body of [{}, [], null, { data: 'x' }, 'text']) {
    const port = await listen(json(body))
    await expect(askEngine(`http://127.0.0.1:${port}/v1`, null, 1_000)).rejects.toThrow(
      /does not answer as an OpenAI-compatible engine/,
    )
  }
  const odd = await listen(json({ data: [{ id: 'm' }, { id: 3 }, { id: '\u001b[2Jm' }, null, 'x', {}] }))
  expect(await idsOf(`http://127.0.0.1:${odd}/v1`, null)).toEqual(['m'])
})

test('a program on this machine can’t send the question elsewhere', async () => {
  let asked = 0
  const elsewhere = await listen((request, response) => {
    asked++
    json({ data: [{ id: 'elsewhere' }] })(request, response)
  })
  const port = await listen(
    (_, response) => void response.writeHead(302, { location: `http://127.0.0.1:${elsewhere}/v1/models` }).end(),
  )
  await expect(askEngine(`http://127.0.0.1:${port}/v1`, 'k', 1_000)).rejects.toThrow(/answers 302/)
  expect(asked).toBe(0)
})

test('an endless answer is given up', async () => {
  const port = await listen((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).write('{"data":[')
    const piece = Buffer.alloc(64 * 1024, ' ')
    const go = (): void => {
      while (!response.destroyed) if (!response.write(piece)) return void response.once('drain', go)
    }
    go()
  })
  await expect(askEngine(`http://127.0.0.1:${port}/v1`, null, 500)).rejects.toThrow()
})

test('the usual ports are ones that programs have, each asked once', () => {
  expect(usualPorts.every(port => Number.isInteger(port) && port > 0 && port < 65_536)).toBe(true)
  expect(new Set(usualPorts).size).toBe(usualPorts.length)
})
