/** Who may use what, with two models to choose from: teams made by command, and teams that the spec declares. */
import OpenAI from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { startService, type Service } from '../support/service.ts'

const Made = z.object({ key: z.string() })
const messages = [{ role: 'user' as const, content: 'Hello!' }]

let engine: FakeEngine
let service: Service

beforeAll(async () => {
  engine = await startFakeEngine({ tokens: 2 })
  const by = (id: string): string => `engine: { kind: openai }, replicas: [{ id: ${id}, url: "${engine.url}/v1" }]`
  service = await startService({
    spec: `name: teams
versions:
  - { name: dev-v1.0-coder-fp16-p0, ${by('one')} }
  - { name: dev-v1.0-general-fp16-p0, ${by('two')} }
models:
  - { name: coder, live: dev-v1.0-coder-fp16-p0 }
  - { name: general, live: dev-v1.0-general-fp16-p0 }
teams:
  - name: declared
    models: [general]
`,
  })
})
afterAll(async () => {
  await service?.stop()
  await engine?.close()
})

test('a key in a team sees and uses the team’s models, and no other', async () => {
  expect(await service.cli('team', 'create', 'dev', '--models', 'coder')).toMatchObject({ exitCode: 0 })
  const client = await clientIn('dev', 'berta')
  expect(await client.models.list().then(({ data }) => data.map(({ id }) => id))).toEqual(['coder'])
  const listed = await service.call('/v1/models', undefined, { headers: { authorization: `Bearer ${client.apiKey}` } })
  expect(await listed.json()).toMatchObject({ models: [{ name: 'coder', status: 'loaded' }] })

  expect(await client.chat.completions.create({ model: 'coder', messages })).toMatchObject({
    object: 'chat.completion',
  })
  const forbidden = client.chat.completions.create({ model: 'general', messages })
  await expect(forbidden).rejects.toBeInstanceOf(OpenAI.PermissionDeniedError)
  await expect(forbidden).rejects.toMatchObject({ code: 'model_not_permitted', param: 'model' })
})

test('a change of the team is in force for keys that it has already', async () => {
  expect(await service.cli('team', 'create', 'moving', '--models', 'coder')).toMatchObject({ exitCode: 0 })
  const client = await clientIn('moving', 'carl')
  expect(await service.cli('team', 'update', 'moving', '--models', 'general')).toMatchObject({ exitCode: 0 })
  expect(await client.models.list().then(({ data }) => data.map(({ id }) => id))).toEqual(['general'])
})

test('a team that the spec declares takes keys, and only the spec changes it: the refusal names file and line', async () => {
  const client = await clientIn('declared', 'dora')
  expect(await client.models.list().then(({ data }) => data.map(({ id }) => id))).toEqual(['general'])

  const url = `${service.url}/api/v1/teams/declared`
  for (const change of [{ method: 'PATCH', body: JSON.stringify({ models: ['coder'] }) }, { method: 'DELETE' }]) {
    const headers = { authorization: `Bearer ${service.env.HOLDFAST_ADMIN_KEY}` }
    const refusal = await fetch(url, {
      ...change,
      headers: 'body' in change ? { ...headers, 'content-type': 'application/json' } : headers,
    })
    expect(refusal.status).toBe(409)
    expect(await refusal.json()).toMatchObject({
      error: { code: 'conflict', message: expect.stringContaining('holdfast.yaml:9') as string },
    })
  }
  const command = await service.cli('team', 'update', 'declared', '--models', 'coder')
  expect(command).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('holdfast.yaml:9') as string })
  expect(await client.models.list().then(({ data }) => data.map(({ id }) => id))).toEqual(['general'])
})

/** A client with a new key in the team. */
async function clientIn(team: string, alias: string): Promise<OpenAI> {
  const { stdout } = await service.cli('key', 'create', '--alias', alias, '--team', team, '--json')
  const { key } = Made.parse(JSON.parse(stdout))
  return new OpenAI({ baseURL: `${service.url}/v1`, apiKey: key, maxRetries: 0 })
}
