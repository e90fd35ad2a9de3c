/** Marks for live traffic: a service, its clients, and a judge that is shown a sample of what they are answered. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { filesIn, findIn } from '../support/canaries.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'
import { startService, type Service } from '../support/service.ts'
import { until } from '../support/settled.ts'

const asked = 'canary-of-what-people-ask-6e1d'
const answered = 'canary-of-what-is-answered-93ab'
const thought = 'canary-of-what-the-judge-thinks-c47f'
const version = 'dev-v1.0-talk-7b-fp16-p0'

const Quality = z.object({
  models: z.array(
    z.object({
      model: z.string(),
      rows: z.array(
        z.object({
          ...{ version: z.string(), day: z.string().nullable(), n: z.number(), mean: z.number().nullable() },
          ...{ unread: z.number(), up: z.number(), down: z.number() },
        }),
      ),
      trend: z.object({ verdict: z.string() }),
      judge: z
        .object({ name: z.string(), admissible: z.boolean().nullable(), warnings: z.array(z.string()) })
        .nullable(),
    }),
  ),
})

let engine: FakeEngine
let judge: ScriptedModel
let service: Service
let key: string
let privateKey: string

beforeAll(async () => {
  engine = await startFakeEngine({ says: [{ when: '', text: `Forty-two, and here is why: ${answered}.` }] })
  judge = await startScriptedModel(({ messages }) => {
    const score = messages.some(({ content }) => String(content).includes(answered)) ? 8 : 1
    return { text: JSON.stringify({ reason: thought, score }) }
  })
  service = await startService({
    spec: `
versions:
  - { name: ${version}, engine: { kind: openai }, replicas: [{ id: talk, url: "${engine.url}/v1" }] }
  - { name: dev-v1.0-judge-1b-fp16-p0, engine: { kind: openai }, replicas: [{ id: judge, url: "${judge.url}/v1" }] }
models:
  - { name: talk, live: ${version}, quality: { judge: judge, share: 100%, perHour: 36000 } }
  - { name: judge, live: dev-v1.0-judge-1b-fp16-p0 }
teams:
  - { name: private, shadow: false }
`,
  })
  key = await keyOf('anna')
  privateKey = await keyOf('bert', 'private')
}, 60_000)
afterAll(async () => {
  await service?.stop()
  await engine?.close()
  await judge?.close()
})

async function keyOf(alias: string, team?: string): Promise<string> {
  const made = await service.call('/api/v1/keys', { alias, ...(team === undefined ? {} : { team }) })
  return z.object({ key: z.string() }).parse(await made.json()).key
}

const post = (path: string, body: object, as: string): Promise<Response> =>
  fetch(`${service.url}${path}`, {
    method: 'POST',
    headers: { 'authorization': `Bearer ${as}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

async function ask(as = key): Promise<string> {
  const messages = [{ role: 'user', content: `What is the answer? ${asked}` }]
  const answer = await post('/v1/chat/completions', { model: 'talk', messages }, as)
  expect(await answer.text()).toContain(answered)
  return answer.headers.get('x-request-id') ?? ''
}

async function quality(...args: string[]) {
  const { stdout, stderr, exitCode } = await service.cli('quality', ...args, '--json')
  if (exitCode !== 0) throw new Error(stderr)
  return Quality.parse(JSON.parse(stdout)).models
}

describe('a model whose answers are marked', () => {
  test('gets marks and thumbs by version, and its judge is known by its controls', async () => {
    await ask(privateKey)
    for (let n = 1; n <= 6; n++) {
      const id = await ask()
      // Each is marked, with its control, before the next: the judge is asked for no more than it has time for.
      await until(`mark ${n}`, async () => (await marks()) >= n)
      if (n <= 3) {
        const said = await post('/v1/feedback', { request_id: id, score: n === 1 ? -1 : 1 }, key)
        expect(said.ok).toBe(true)
      }
    }
    const [talk] = await quality('talk')
    expect(talk).toMatchObject({
      model: 'talk',
      rows: [{ version, day: null, n: 6, mean: 8, unread: 0, up: 2, down: 1 }],
      trend: { verdict: 'too-few' },
      judge: {
        name: 'dev-v1.0-judge-1b-fp16-p0',
        admissible: true,
        warnings: [expect.stringMatching(/is smaller than dev-v1\.0-talk-7b/)],
      },
    })
    const [today] = (await quality('--by', 'day'))[0]?.rows ?? []
    expect(today).toMatchObject({ version, day: expect.stringMatching(/^\d{4}-\d\d-\d\d$/), n: 6 })
  })

  test('reads well, and of a model that nobody marks it is said so', async () => {
    const { stdout } = await service.cli('quality', 'talk')
    expect(stdout).toMatch(/talk +dev-v1\.0-talk-7b-fp16-p0 +▆ +6 +8\.00 +- +0 +2 +1/)
    expect(stdout).toContain('judge dev-v1.0-judge-1b-fp16-p0: admissible')
    expect((await service.cli('quality', 'judge')).stdout).toContain('Nobody marked judge')
  })

  test('leaves no word of question, answer or judgement anywhere', async () => {
    const places = Object.fromEntries(filesIn(service.folder).map(path => [path, readFileSync(path)]))
    expect(findIn(places, { asked, answered, thought })).toEqual([])
    expect(
      findIn({ said: Buffer.from(service.said.stdout + service.said.stderr) }, { asked, answered, thought }),
    ).toEqual([])
  })
})

async function marks(): Promise<number> {
  const answer = await service.call('/api/v1/quality?model=talk')
  return Quality.parse(await answer.json()).models[0]?.rows[0]?.n ?? 0
}
