/** Releases on real engines, under traffic of an official client: nobody but the evidence decides, and no client notices. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeDamagedWeights } from '../support/damaged-weights.ts'
import { adminKey, repository, startService, type Service } from '../support/service.ts'
import { backMs, until } from '../support/settled.ts'

const live = 'dev-v1.0-smoke-2m-q8-0-p0'
const same = 'dev-v1.1-smoke-2m-q8-0-p0'
const damaged = 'dev-v1.2-smoke-2m-q8-0-p0'
const worse = 'dev-v1.3-smoke-2m-q8-0-p1'

const version = (name: string, id: string, from: string): string => `
  - name: ${name}
    artifact: { from: '${from}' }
    engine: { kind: embedded, flags: { context-size: 512, sequences: 4 } }
    replicas: [{ id: ${id} }]`

const spec = (answers = live): string => `
prompts:
  # Longer than anything that this model ever saw: it loses its thread.
  p1: { text: '${'x '.repeat(200).trim()}' }
versions:${version(live, 'a', 'builtin:smoke')}${version(same, 'b', 'builtin:smoke')}${version(damaged, 'c', 'file:damaged.gguf')}${version(worse, 'd', 'builtin:smoke')}
models:
  - { name: chat, live: ${answers}, release: careful }
releases:
  careful:
    smoke: { prompts: 4 }
    golden: { set: golden.jsonl, margin: 15% }
    canary: { steps: [50%, 100%], minTime: 1s, minRequests: 5, bake: 1s, stick: request }
  by-golden:
    golden: { set: golden.jsonl, margin: 15% }
    canary: { steps: [100%], minTime: 1s, minRequests: 1, bake: 1s }
  step-by-step:
    canary: { steps: [10%, 50%, 100%], minTime: 60s, minRequests: 5, bake: 60s, stick: request }
`

type Status = {
  id: string
  phase: string
  share: number
  verdict: string
  why: string
  to: string
  same: boolean
  gates: { name: string; verdict: string; evidence: string }[]
}

let service: Service
/** Answers that went wrong: in this file there must be none. */
const failures: string[] = []
const answered = new Map<string, number>()
let stopTraffic = (): Promise<void> => Promise.resolve()

beforeAll(async () => {
  service = await startService({ spec: spec() })
  writeDamagedWeights(join(service.folder, 'damaged.gguf'))
  copyFileSync(join(repository, 'examples/golden/smoke.jsonl'), join(service.folder, 'golden.jsonl'))
  stopTraffic = traffic(service)
})
afterAll(async () => {
  await stopTraffic()
  await service.stop()
})

const readingMs = 150

/** Two people who ask one thing after another, streamed and whole. */
function traffic({ url }: Service): () => Promise<void> {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: adminKey, maxRetries: 0 })
  let stopped = false
  async function ask(n: number): Promise<void> {
    const messages = [{ role: 'user' as const, content: `What is ${n % 7} + ${n % 5}?` }]
    if (n % 2 === 0) {
      const { data, response } = await client.chat.completions
        .create({ model: 'chat', messages, max_tokens: 8 })
        .withResponse()
      if (data.choices[0]?.finish_reason === undefined) failures.push('an answer without an end')
      count(response)
      return
    }
    const { data, response } = await client.chat.completions
      .create({ model: 'chat', messages, max_tokens: 8, stream: true })
      .withResponse()
    let finish: string | null = null
    for await (const chunk of data) finish = chunk.choices[0]?.finish_reason ?? finish
    if (finish === null) failures.push('a stream that was cut')
    count(response)
  }
  function count(response: Response): void {
    const by = response.headers.get('x-holdfast-version') ?? 'nobody'
    answered.set(by, (answered.get(by) ?? 0) + 1)
  }
  async function person(first: number): Promise<void> {
    for (let n = first; !stopped; n += 2) {
      await ask(n).catch(error => void failures.push(String(error)))
      // People read what they are told; the engines share this machine with the test.
      await pause(readingMs)
    }
  }
  const people = [person(0), person(1)]
  return async () => {
    stopped = true
    await Promise.all(people)
  }
}

async function release(...args: string[]): Promise<Status> {
  const { stdout, stderr, exitCode } = await service.cli('release', ...args, '--json')
  if (exitCode !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as Status
}

async function statusUntil(what: string, isSo: (status: Status) => boolean, withinMs = 90_000): Promise<Status> {
  let last: Status | null = null
  await until(
    what,
    async () => {
      const answer = await service.call('/api/v1/releases/chat')
      last = answer.ok ? ((await answer.json()) as Status) : null
      return last !== null && isSo(last)
    },
    withinMs,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(last)}`)
  })
  if (last === null) throw new Error('no release')
  return last
}

const isOver = ({ phase }: Status): boolean => ['live', 'aborted', 'rolled-back', 'held'].includes(phase)

describe('a model with a release policy', () => {
  test('a damaged candidate is rolled back by smoke, with the reason, and no client meets it', async () => {
    await release('start', 'chat', damaged)
    const status = await statusUntil('its end', isOver)
    expect(status).toMatchObject({ phase: 'rolled-back', verdict: 'rollback', share: 0, to: damaged })
    expect(status.why).toMatch(/smoke/i)
    expect(status.gates.find(({ name }) => name === 'smoke')?.evidence).toMatch(/right/)
    expect(answered.get(damaged) ?? 0).toBe(0)
  })

  test('a worse prompt is caught by the golden set', async () => {
    await release('start', 'chat', worse, '--policy', 'by-golden')
    const status = await statusUntil('its end', isOver)
    expect(status).toMatchObject({ phase: 'rolled-back', to: worse })
    expect(status.why).toMatch(/golden/i)
    expect(answered.get(worse) ?? 0).toBe(0)
  })

  test('kill -9 of controller and gateway in the middle of a step: it goes on where it was', async () => {
    const before = await release('start', 'chat', same, '--policy', 'step-by-step')
    await statusUntil('the canary', ({ phase }) => phase === 'canary')
    await until('the candidate answers', () => (answered.get(same) ?? 0) > 0, 30_000)
    await stopTraffic()
    for (const role of ['controller', 'gateway']) {
      const process_ = (await service.processes()).find(each => each.role === role)
      if (process_ === undefined) throw new Error(`no ${role}`)
      process.kill(process_.pid, 'SIGKILL')
      await until(
        `the next ${role}`,
        async () => {
          const answer = await service.call('/api/v1/releases/chat').catch(() => null)
          return answer?.ok === true
        },
        backMs,
      )
    }
    stopTraffic = traffic(service)
    expect(await statusUntil('the canary again', ({ phase }) => phase === 'canary')).toMatchObject({ id: before.id })
    const was = answered.get(same) ?? 0
    await until('the candidate answers again', () => (answered.get(same) ?? 0) > was, 30_000)
  })

  test('an abort gives all new requests to the old version at once, and needs a reason', async () => {
    expect((await service.cli('release', 'abort', 'chat')).exitCode).toBe(2)
    const status = await release('abort', 'chat', '--reason', 'enough seen')
    expect(status).toMatchObject({ phase: 'aborted', share: 0 })
    await until('nobody asks it any more', async () => {
      const answer = await service.call('/health/versions')
      const { versions } = (await answer.json()) as { versions: { version: string }[] }
      return !versions.some(each => each.version === same)
    })
    const was = answered.get(same) ?? 0
    const old = answered.get(live) ?? 0
    await until('twenty more answers', () => (answered.get(live) ?? 0) >= old + 20, 30_000)
    expect(answered.get(same)).toBe(was)
  })

  test('the same weights under another name are promoted by a changed spec, which is then as it is served', async () => {
    writeFileSync(service.specFile, spec(same))
    expect((await service.cli('diff')).stdout).toContain(`a release begins: ${live} → ${same}`)
    expect((await service.cli('apply')).exitCode).toBe(0)
    const status = await statusUntil('its end', each => each.to === same && isOver(each))
    expect(status).toMatchObject({ phase: 'live', verdict: 'promote', share: 1, same: true })
    expect(status.gates.map(({ name }) => name)).toEqual(expect.arrayContaining(['smoke', 'golden']))
    await until('it is served', async () => {
      const { models } = (await (await service.call('/v1/models')).json()) as { models: { version: string }[] }
      return models[0]?.version === same
    })
    expect(await service.cli('diff')).toMatchObject({ exitCode: 0 })
  })

  test('what a command promotes is told apart from the spec, with the edit to make', async () => {
    await release('start', 'chat', live, '--policy', 'step-by-step')
    await statusUntil('the canary', ({ phase }) => phase === 'canary')
    await release('promote', 'chat', '--reason', 'back to the known one')
    await statusUntil('bake', ({ phase }) => phase === 'bake')
    expect((await service.cli('release', 'status', 'chat')).stdout).toMatch(/bake/)
    const { stdout } = await service.cli('release', 'report', 'chat', '--out', join(service.folder, 'report.html'))
    expect(stdout).toContain('report.html')
    expect(readFileSync(join(service.folder, 'report.html'), 'utf8')).toContain(live)
    await release('abort', 'chat', '--reason', 'the test is over')
  })

  test('no client saw an error because of any of it', async () => {
    await stopTraffic()
    expect(failures).toEqual([])
    expect([...answered.keys()].toSorted()).toEqual([live, same].toSorted())
  })
})
