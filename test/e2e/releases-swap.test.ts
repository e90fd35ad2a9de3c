/** A machine with room for one: the candidate is tried while nobody asks, the old version comes back, and only then is it replaced. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startService, type Service } from '../support/service.ts'
import { until } from '../support/settled.ts'

const live = 'dev-v1.0-smoke-2m-q8-0-p0'
const candidate = 'dev-v1.1-smoke-2m-q8-0-p0'
const version = (name: string, id: string): string =>
  `  - { name: ${name}, artifact: { from: 'builtin:smoke' }, engine: { kind: embedded, flags: { context-size: 512 } }, replicas: [{ id: ${id} }] }`
const spec = `name: swap
versions:
${version(live, 'a')}
${version(candidate, 'b')}
models:
  - { name: chat, live: ${live}, release: alone }
releases:
  alone:
    room: swap-idle
    smoke: { prompts: 8 }
    canary: { steps: [100%], minTime: 1s, minRequests: 1, bake: 600s }
`

type Status = { phase: string; share: number; why: string; verdict: string }
type Decision = { why: string }

let service: Service
/** Versions that had an engine at once, as they were seen. */
const together = new Set<string>()

beforeAll(async () => {
  service = await startService({ spec })
})
afterAll(async () => {
  await service?.stop()
})

test('before anything starts it is said what going back will take', async () => {
  expect(await ask()).toBe(live)
  const begun = await service.call('/api/v1/releases', { model: 'chat', version: candidate })
  expect(await begun.json()).toMatchObject({
    phase: 'draft',
    why: expect.stringMatching(/^Waits for an idle window .*Going back means loading the live version again/),
  })
  expect(await ask()).toBe(live)
})

test('while nobody asks, the candidate is tried alone; who asks then waits for the old version to come back', async () => {
  await reaches('the smoke test', ({ phase }) => phase === 'smoke')
  expect(await ask()).toBe(live)
  expect(await statusOf(live)).toBe('loaded')
  expect((await decisions()).map(({ why }) => why)).toEqual([
    expect.stringMatching(/^Idle: .* makes room/),
    expect.stringMatching(/is loaded$/),
    expect.stringMatching(/^smoke: passed; .* gets its room back$/),
  ])
}, 90_000)

test('in the next idle window the candidate takes over', async () => {
  // The controller's word is the gateway's a moment later; who asks in between is answered as before.
  const answers = async (): Promise<boolean> => {
    await reaches('the candidate', ({ phase, share }) => phase === 'canary' && share === 1)
    return (await ask()) === candidate
  }
  await until('the candidate answers', answers, 80_000)
  await reaches('bake', ({ phase }) => phase === 'bake')
}, 90_000)

test('going back brings the old version up again, and who asks meanwhile waits for it', async () => {
  const { stdout } = await service.cli('release', 'abort', 'chat', '--reason', 'enough seen', '--json')
  expect(JSON.parse(stdout)).toMatchObject({ phase: 'aborted', share: 0 })
  await until('it answers again', async () => (await ask().catch(() => null)) === live, 30_000)
  expect((await decisions()).some(({ why }) => /takes over\. Going back means .* it took /.test(why))).toBe(true)
}, 60_000)

test('there never was room for two, and it was not taken', () => {
  expect([...together]).toEqual([])
})

async function ask(): Promise<string | null> {
  const messages = [{ role: 'user', content: 'Hello!' }]
  const answer = await service.call('/v1/chat/completions', { model: 'chat', messages, max_tokens: 4 })
  if (!answer.ok) throw new Error(await answer.text())
  await answer.text()
  return answer.headers.get('x-holdfast-version')
}

async function decisions(): Promise<Decision[]> {
  const answer = await service.call('/api/v1/releases/chat/decisions')
  return ((await answer.json()) as { decisions: Decision[] }).decisions
}

async function reaches(what: string, isSo: (status: Status) => boolean): Promise<void> {
  let last: Status | null = null
  await until(
    what,
    async () => {
      last = (await (await service.call('/api/v1/releases/chat')).json()) as Status
      if ((await statusOf(live)) === 'loaded' && (await statusOf(candidate)) === 'loaded') together.add(last.phase)
      return isSo(last)
    },
    60_000,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(last)}`)
  })
}

async function statusOf(name: string): Promise<string | null> {
  const { versions } = (await (await service.call('/health/versions')).json()) as {
    versions: { version: string; status: string }[]
  }
  return versions.find(each => each.version === name)?.status ?? null
}
