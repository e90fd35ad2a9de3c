/** `holdfast model inspect`, as a person and as a script use it: files here, on a hub and on the web. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { commit, startHub, type Hub } from '../support/hub.ts'
import { safetensorsHeader, stateDict, torchArchive, writeGguf } from '../support/model-files.ts'
import { repository, runCli, type CliAnswer } from '../support/service.ts'

const smoke = join(repository, 'weights/smoke/smoke.gguf')
const smokeBytes = readFileSync(smoke)

let folder: string
let hub: Hub
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-inspect-'))
  hub = await startHub({ 'smoke.gguf': smokeBytes, 'README.md': Buffer.from('# no weights') })
})
afterAll(async () => {
  await hub.close()
  rmSync(folder, { recursive: true, force: true })
})

const inspect = (...args: string[]): Promise<CliAnswer> =>
  runCli(['model', 'inspect', ...args], { ...process.env, HF_ENDPOINT: hub.url, HOLDFAST_HOME: join(folder, 'home') })

const told = {
  format: 'gguf',
  architecture: 'llama',
  parameters: { total: expect.any(Number), active: expect.any(Number) },
  layers: 4,
  contextLength: 512,
  attention: [{ kind: 'full', layers: 4, kvHeads: 3, keyLength: 64, valueLength: 64 }],
  kv: { bytesPerToken: 2 * 4 * 3 * 64 * 2, bytesPerSequence: 0 },
  quantisation: { name: 'q8-0', bitsPerWeight: expect.any(Number) },
  bytes: smokeBytes.length,
  chatTemplate: { tools: false, system: true },
}

describe('as JSON', () => {
  test('a file of this machine', async () => {
    const { exitCode, stdout } = await inspect(smoke, '--json')
    expect(exitCode).toBe(0)
    const found = JSON.parse(stdout)
    expect(found).toMatchObject(told)
    expect(found.engines).toContainEqual({ engine: 'embedded', ok: true, why: expect.any(String) })
    expect(found.engines).toContainEqual({ engine: 'tensorrt-llm', ok: false, why: expect.any(String) })
    expect(found.parameters.total).toBeGreaterThan(2_000_000)
  })

  test('a branch of a repository, of which only the header is fetched, and whose commit is told', async () => {
    const before = hub.sent()
    const { exitCode, stdout } = await inspect('hf:holdfast/smoke', '--json')
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ ...told, source: `hf:holdfast/smoke@${commit}` })
    expect(hub.sent() - before).toBeLessThan(smokeBytes.length / 4)
  })

  test('an address', async () => {
    const server = createServer((request, response) => {
      const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
      const part = smokeBytes.subarray(Number(from), Number(to) + 1)
      const range = `bytes ${from}-${Number(from) + part.length - 1}/${smokeBytes.length}`
      response.writeHead(request.url === '/smoke.gguf' ? 206 : 404, { 'content-range': range }).end(part)
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    try {
      // A TCP server that listens has an address object.
      const { exitCode, stdout } = await inspect(
        `http://127.0.0.1:${(server.address() as AddressInfo).port}/smoke.gguf`,
        '--json',
      )
      expect(exitCode).toBe(0)
      expect(JSON.parse(stdout)).toMatchObject(told)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })

  test('a mixture of experts with sliding layers, from nothing but its header', async () => {
    const config = {
      model_type: 'gpt_oss',
      architectures: ['GptOssForCausalLM'],
      num_hidden_layers: 4,
      hidden_size: 64,
      num_attention_heads: 8,
      num_key_value_heads: 2,
      head_dim: 16,
      num_local_experts: 4,
      num_experts_per_tok: 1,
      sliding_window: 128,
      max_position_embeddings: 131_072,
    }
    const experts = Array.from({ length: 4 }, (_, i) => ({
      name: `model.layers.${i}.mlp.experts.down_proj`,
      type: 'BF16',
      shape: [4, 64, 64],
    }))
    const { header, bytes } = safetensorsHeader([
      ...experts,
      { name: 'model.embed_tokens.weight', type: 'BF16', shape: [100, 64] },
    ])
    writeFileSync(join(folder, 'model.safetensors'), Buffer.concat([header, Buffer.alloc(bytes - header.length)]))
    writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
    const { stdout } = await inspect(folder, '--json')
    expect(JSON.parse(stdout)).toMatchObject({
      parameters: { total: 4 * 16_384 + 6400, active: 4 * 4096 + 6400 },
      attention: [
        { kind: 'sliding', layers: 2, window: 128 },
        { kind: 'full', layers: 2 },
      ],
      kv: { bytesPerToken: 2 * 2 * 2 * 16 * 2, bytesPerSequence: 128 * 2 * 2 * 2 * 16 * 2 },
      experts: { count: 4, used: 1, shared: 0 },
    })
  })
})

test('for people: a card with what it is, who takes it and what to do next', async () => {
  const { exitCode, stdout, stderr } = await inspect(smoke)
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  for (const line of [
    /architecture {3}llama/,
    /KV cache {7}3,072 B a token/,
    /llama-cpp +yes/,
    /triton +no/,
    /artifact: \{from: file:.*smoke\.gguf\}/,
  ])
    expect(stdout).toMatch(line)
})

describe('it says no', () => {
  test('to a pickle that would run code, until it is allowed by its name', async () => {
    const path = join(folder, 'model.pt')
    writeFileSync(path, torchArchive(stateDict([{ name: 'w', shape: [4, 4] }], Buffer.from('cposix\nsystem\n0'))))
    const refused = await inspect(path)
    expect(refused.exitCode).toBe(1)
    expect(refused.stdout).toMatch(/REFUSED +posix\.system/)
    expect(refused.stdout).toContain('--allow-pickle posix.system')
    expect((await inspect(path, '--allow-pickle', 'posix.system')).exitCode).toBe(0)
  })

  test.each<[string, () => Buffer, RegExp]>([
    [
      'a file cut short',
      () => smokeBytes.subarray(0, 100_000),
      /x\.gguf: at byte \d+: the tensor .* It is not whole: fetch it again/,
    ],
    ['GGUF version 1', () => writeGguf({ version: 1 }), /x\.gguf: at byte 4: GGUF version 1/],
    [
      'counts that no file holds',
      () => Buffer.concat([Buffer.from('GGUF\u0003\0\0\0'), Buffer.alloc(16, 0xff)]),
      /tensors are announced/,
    ],
  ])('to %s, with the place and what to do', async (_, bytes, words) => {
    writeFileSync(join(folder, 'x.gguf'), bytes())
    const { exitCode, stdout, stderr } = await inspect(join(folder, 'x.gguf'), '--json')
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
    expect(stderr).toMatch(words)
  })

  test('to what is not there, and to a source that is none', async () => {
    expect(await inspect(join(folder, 'gone.gguf'))).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('no file or folder'),
    })
    expect(await inspect('hf:holdfast/smoke@gone')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('has no commit gone'),
    })
    expect(await inspect('hf:a/b/c')).toMatchObject({ exitCode: 2 })
    expect(await inspect()).toMatchObject({ exitCode: 2 })
  })
})
