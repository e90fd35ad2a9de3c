/** kill -9 of the controller and the gateway at once, in every phase of one release: it goes on where it was, and nothing is lost. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import OpenAI from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { startService, type Service } from '../support/service.ts'
import { backMs, until } from '../support/settled.ts'

const live = 'dev-v1.0-chat-fp16-p0'
const candidate = 'dev-v1.1-chat-fp16-p0'
const spec = (liveUrl: string, candidateUrl: string): string => `name: kills
versions:
  - { name: ${live}, engine: { kind: openai }, replicas: [{ id: old, url: "${liveUrl}/v1" }] }
  - { name: ${candidate}, engine: { kind: openai }, replicas: [{ id: new, url: "${candidateUrl}/v1" }] }
models:
  - { name: chat, live: ${live}, release: whole }
releases:
  whole:
    smoke: { prompts: 2 }
    golden: { set: golden.jsonl, margin: 50% }
    shadow: { share: 100%, maxPairs: 12 }
    canary: { steps: [50%, 100%], minTime: 1s, minRequests: 8, bake: 5s, stick: request }
`
/** Takes a while to answer: long enough to be killed in. */
const golden = ['a', 'b'].map(id => ({
  id,
  messages: [{ role: 'user', content: `Case ${id} [[fake:firstMs=3000]]` }],
  expect: { contains: 'word0' },
}))

type Status = {
  id: string
  phase: string
  step: number
  share: number
  why: string
  gates: { name: string; evidence: string }[]
}
type Decision = { n: number; from: { phase: string }; to: { phase: string } }

let engines: { old: FakeEngine; next: FakeEngine }
let service: Service
let client: OpenAI
let release: Status
/** By the version that answered. */
const answers = new Map<string, number>()

beforeAll(async () => {
  engines = { old: await startFakeEngine(), next: await startFakeEngine({ firstMs: 2_000 }) }
  service = await startService({ spec: spec(engines.old.url, engines.next.url) })
  writeFileSync(join(service.folder, 'golden.jsonl'), golden.map(each => JSON.stringify(each)).join('\n'))
  const made = (await (await service.call('/api/v1/keys', { alias: 'anna' })).json()) as { key: string }
  client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: made.key, maxRetries: 0 })
  const begun = await service.call('/api/v1/releases', { model: 'chat', version: candidate })
  if (begun.status !== 201) throw new Error(await begun.text())
  release = (await begun.json()) as Status
})
afterAll(async () => {
  await service?.stop()
  await engines?.old.close()
  await engines?.next.close()
})

test('in the smoke test: it is asked again, and passes', async () => {
  await reaches('smoke')
  await killBoth()
  expect(await status()).toMatchObject({ id: release.id, phase: 'smoke' })
  engines.next.behave({ firstMs: 0 })
  await reaches('golden')
})

test('in the golden set: it is run again, and passes', async () => {
  await killBoth()
  expect(await status()).toMatchObject({ id: release.id, phase: 'golden' })
  await reaches('shadow')
})

test('in shadow: copies that were counted stay counted, and new ones are sealed for the new key', async () => {
  const pairs = async (): Promise<number> => countIn(await status(), 'pairs', /^(\d+) of 12/)
  for (let n = 0; n < 4; n++) await ask()
  await until('some are counted', async () => (await pairs()) >= 3)
  const before = await pairs()
  await killBoth()
  await until('they are counted again', async () => (await pairs()) >= before)
  expect((await status()).phase).toBe('shadow')
  await goesOn('canary')
})

test('in the canary: what each version answered stays counted, also what the controller had not read yet', async () => {
  for (let n = 0; n < 4; n++) await ask()
  const answered = answers.get(candidate) ?? 0
  await killBoth()
  expect(await status()).toMatchObject({ phase: 'canary', step: 1, share: 0.5 })
  const counted = async (): Promise<number> => countIn(await status(), 'requests', /^(\d+) of 8/)
  await until('they are counted', async () => (await counted()) === answered)
  await goesOn('bake')
})

test('in bake: it answers all, and goes live when the time is over', async () => {
  await killBoth()
  expect(await status()).toMatchObject({ id: release.id, phase: 'bake', share: 1 })
  const before = answers.get(live) ?? 0
  await ask()
  expect(answers.get(live) ?? 0).toBe(before)
  await reaches('live')
})

test('it went through every phase once, each decision was stored once, and each is computed again to the same', async () => {
  const answer = await service.call('/api/v1/releases/chat/decisions')
  const { decisions } = (await answer.json()) as { decisions: Decision[] }
  expect(decisions.map(({ n }) => n)).toEqual(decisions.map((_, at) => at + 1))
  const phases = decisions.map(({ to }) => to.phase).filter((phase, at, all) => phase !== all[at - 1])
  expect(phases).toEqual(['smoke', 'golden', 'shadow', 'canary', 'bake', 'live'])
  const report = await (await service.call('/api/v1/releases/chat/report')).text()
  expect(report.match(/the same<\/td>/g)).toHaveLength(decisions.length)
  expect(report).not.toMatch(/recomputed /)
})

test('the spec is told to be behind what answers', async () => {
  expect((await service.cli('status')).stdout).toMatch(new RegExp(`${candidate} answers for chat`))
})

async function status(): Promise<Status> {
  return (await (await service.call('/api/v1/releases/chat')).json()) as Status
}

/** Nobody asks anything meanwhile. */
async function reaches(phase: string): Promise<void> {
  let last: Status | null = null
  await until(
    phase,
    async () => {
      last = await status()
      return last.phase === phase
    },
    30_000,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(last)}`)
  })
}

/** People ask until it is there. */
async function goesOn(phase: string): Promise<void> {
  await until(
    phase,
    async () => {
      await ask()
      return (await status()).phase === phase
    },
    30_000,
  )
}

async function ask(): Promise<void> {
  const { data, response } = await client.chat.completions
    .create({ model: 'chat', messages: [{ role: 'user', content: 'Hello!' }] })
    .withResponse()
  expect(data.choices[0]?.finish_reason).toBe('stop')
  const by = response.headers.get('x-holdfast-version') ?? ''
  answers.set(by, (answers.get(by) ?? 0) + 1)
}

const countIn = ({ gates }: Status, name: string, pattern: RegExp): number =>
  Number(pattern.exec(gates.find(gate => gate.name === name)?.evidence ?? '')?.[1] ?? 0)

async function killBoth(): Promise<void> {
  const found = (await service.processes()).filter(({ role }) => role === 'controller' || role === 'gateway')
  expect(found).toHaveLength(2)
  for (const { pid } of found) process.kill(pid, 'SIGKILL')
  await until(
    'both are back',
    async () => {
      const ready = await fetch(`${service.url}/health/readiness`).catch(() => null)
      const answer = ready?.ok === true ? await service.call('/api/v1/releases/chat').catch(() => null) : null
      return answer?.ok === true && found.every(({ pid }) => isGone(pid))
    },
    backMs,
  )
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}
