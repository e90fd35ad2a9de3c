import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startFakeEngine } from '../../tools/fake-engine/index.ts'
import { adminKey, repository, runCli, startService, type Service } from '../support/service.ts'

describe('holdfast up, with nothing but itself', () => {
  let service: Service
  beforeAll(async () => {
    service = await startService()
  })
  afterAll(async () => {
    await service?.stop()
  })

  test('answers with the embedded engine', async () => {
    const answer = await service.call('/v1/chat/completions', {
      model: 'smoke',
      temperature: 0,
      messages: [{ role: 'user', content: 'What is the capital of France?' }],
    })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('x-holdfast-version')).toBe('dev-v1.0-smoke-2m-q8-0-p0')
    expect(JSON.stringify(await answer.json())).toContain('Paris')
  })

  test('status gives every process with its role and pid, and each command line names its role', async () => {
    const processes = await service.processes()
    expect(processes.map(({ role }) => role).toSorted()).toEqual(['agent', 'controller', 'engine', 'gateway', 'up'])
    const { readFileSync } = await import('node:fs')
    for (const { role, pid } of processes)
      expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')).toContain(role)
  })

  test('health needs no key, models do', async () => {
    for (const path of ['/health', '/v1/health', '/health/liveliness', '/health/readiness'])
      expect((await fetch(service.url + path)).status).toBe(200)
    expect((await fetch(`${service.url}/v1/models`)).status).toBe(401)
    expect(await (await service.call('/v1/models')).json()).toMatchObject({
      object: 'list',
      data: [{ id: 'smoke', object: 'model' }],
      models: [{ name: 'smoke', version: 'dev-v1.0-smoke-2m-q8-0-p0', status: 'loaded' }],
    })
  })

  test('a key works within a second of being made, and stops within a second of being revoked', async () => {
    const made = JSON.parse((await service.cli('key', 'create', '--alias', 'anna', '--json')).stdout) as { key: string }
    const headers = { 'authorization': `Bearer ${made.key}`, 'content-type': 'application/json' }
    expect((await service.call('/v1/models', undefined, { headers })).status).toBe(200)
    expect((await service.cli('key', 'revoke', 'anna')).exitCode).toBe(0)
    const refused = await service.call('/v1/models', undefined, { headers })
    expect(refused.status).toBe(401)
    expect(await refused.json()).toMatchObject({
      error: { code: 'invalid_api_key', message: expect.stringContaining('revoked') as string },
    })
  })

  test('a second one with the same state folder is refused with what to do', async () => {
    const { exitCode, stderr } = await runCli(['up', '--port', '0'], service.env)
    expect(exitCode).toBe(1)
    expect(stderr).toContain('HOLDFAST_HOME')
  })

  test('a port that is taken is refused with what to do, and nothing is left running', async () => {
    const port = new URL(service.url).port
    const { exitCode, stderr } = await runCli(['up', '--port', port], {
      ...service.env,
      HOLDFAST_HOME: `${service.folder}/other`,
    })
    expect(exitCode).toBe(1)
    expect(stderr).toContain('--port')
  })

  test('SIGTERM lets a running stream finish, then everything has ended with exit code 0', async () => {
    const processes = await service.processes()
    const answer = await service.call('/v1/chat/completions', {
      model: 'smoke',
      stream: true,
      max_tokens: 200,
      seed: 1,
      messages: [{ role: 'user', content: 'Tell me a story about a cat.' }],
    })
    const [text, end] = await Promise.all([answer.text(), service.stop()])
    expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true)
    expect(end).toEqual({ exitCode: 0, signal: null })
    for (const { pid } of processes) expect(() => process.kill(pid, 0)).toThrow()
    expect(service.said.stderr).not.toContain(adminKey)
  })
})

test('a spec that can’t be used is told whole, and nothing is started', async () => {
  const failing = startService({ spec: 'modles: []\ngateway: { listen: { port: high } }\n' })
  await expect(failing).rejects.toThrow(/holdfast\.yaml:1:1[\s\S]*models[\s\S]*holdfast\.yaml:2/)
})

test('--gguf serves other weights under a name of their own, --engine an engine that runs already', async () => {
  const engine = await startFakeEngine({ name: 'meta/llama-3.1:8b', apiKey: 'canary-engine-key' })
  const service = await startService({
    flags: ['--gguf', `${repository}weights/smoke/smoke.gguf`, '--engine', engine.url],
    env: { HOLDFAST_ENGINE_KEY: 'canary-engine-key' },
  })
  try {
    expect(await (await service.call('/v1/models')).json()).toMatchObject({
      models: [
        { name: 'smoke', version: expect.stringMatching(/^dev-v1\.0-smoke-/) as string, status: 'loaded' },
        { name: 'meta/llama-3.1:8b', version: expect.stringMatching(/^dev-v1\.0-meta-llama-3-1-8b-/) as string },
      ],
    })
    for (const model of ['smoke', 'meta/llama-3.1:8b']) {
      const answer = await service.call('/v1/chat/completions', { model, messages: [{ role: 'user', content: 'Hi' }] })
      expect(answer.status).toBe(200)
    }
  } finally {
    await service.stop()
    await engine.close()
  }
})

test.each([
  [['--gguf', '/nowhere/weights.gguf'], 'there is no file'],
  [['--engine', 'http://127.0.0.1:9'], 'Is it running?'],
  [['--engine', 'not an address'], 'is not an http address'],
  [['--host', 'example.com'], 'is not an IP address'],
])('up %j says what is wrong and ends with 1', async (flags, words) => {
  const env = { ...process.env, HOLDFAST_HOME: mkdtempSync(join(tmpdir(), 'holdfast-up-')) }
  const { exitCode, stderr } = await runCli(['up', '--port', '0', ...flags], env)
  rmSync(env.HOLDFAST_HOME, { recursive: true })
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining(words)])
})
