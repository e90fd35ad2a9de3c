/** Engines that break the protocol: the gateway survives each, its memory too, and the client is told of a fault. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { misbehaviours, oddities, startHostileEngine, type HostileEngine } from '../support/hostile-engine.ts'
import { startService, type Service } from '../support/service.ts'
import { processOf, residentMib, until } from '../support/settled.ts'

const names = Object.keys({ ...misbehaviours, ...oddities })
const limits = { firstByteMs: 3_000, requestMs: 6_000 }

const spec = (urls: { hostile: string; good: string }): string => `
apiVersion: holdfast/v1
name: hostile-engines
gateway: { limits: { firstByte: ${limits.firstByteMs}ms, idle: 3s, request: ${limits.requestMs}ms } }
versions:
  - { name: dev-v1.0-good-fp16-p0, engine: { kind: openai }, replicas: [{ id: good, url: "${urls.good}/v1" }] }
${names.map(name => `  - { name: dev-v1.0-${name}-fp16-p0, engine: { kind: openai }, replicas: [{ id: ${name}, url: "${urls.hostile}/${name}/v1" }] }`).join('\n')}
models:
  - { name: good, live: dev-v1.0-good-fp16-p0 }
${names.map(name => `  - { name: ${name}, live: dev-v1.0-${name}-fp16-p0 }`).join('\n')}
`

let good: FakeEngine
let hostile: HostileEngine
let service: Service
let before: { pid: number; mib: number }

beforeAll(async () => {
  good = await startFakeEngine()
  hostile = await startHostileEngine()
  service = await startService({ spec: spec({ hostile: `http://127.0.0.1:${hostile.port}`, good: good.url }) })
  await goodAnswer()
  const { pid } = await processOf(service, 'gateway')
  before = { pid, mib: residentMib(pid) }
})
afterAll(async () => {
  await service?.stop()
  await hostile?.close()
  await good?.close()
})

async function ask(model: string): Promise<{ status: number; text: string }> {
  const stream = model.endsWith('-stream')
  const answer = await service.call('/v1/chat/completions', {
    model,
    stream,
    messages: [{ role: 'user', content: 'hi' }],
  })
  return { status: answer.status, text: await answer.text() }
}

async function goodAnswer(): Promise<void> {
  const { status, text } = await ask('good')
  expect(status, text).toBe(200)
}

/** The fault that a client gets: as the whole answer, or as the last event of a stream that has begun. */
function faultOf({ status, text }: { status: number; text: string }): { status: number; message: string } {
  expect(text).not.toContain('[DONE]')
  const json = status === 200 ? (text.trimEnd().split('\n\n').at(-1) ?? '').replace(/^data: /, '') : text
  const { error } = JSON.parse(json) as { error: { message: string } }
  expect(Object.keys(error).toSorted()).toEqual(['code', 'message', 'param', 'type'])
  return { status, message: error.message }
}

describe('engines that break the protocol', () => {
  test.concurrent.each(Object.keys(misbehaviours))(
    '%s: the client is told of a fault, and others are served',
    async name => {
      const [answer] = await Promise.all([ask(name), goodAnswer()])
      const { status, message } = faultOf(answer)
      if (!name.endsWith('-stream')) expect([400, 502, 504]).toContain(status)
      expect(message).not.toMatch(/<html|secret-of-the-proxy|eeeeeeeeee{1000}/)
    },
  )

  test.each(Object.keys(oddities))('%s: odd, and taken', async name => {
    const { status, text } = await ask(name)
    expect(status, text).toBe(200)
    expect(text).not.toContain('"error"')
  })

  test('the gateway is the same process, its memory is back, and nothing was unforeseen', async () => {
    await until('the gateway has answered everything', async () =>
      /holdfast_requests_in_flight 0\n/.test(await (await service.call('/metrics')).text()),
    )
    const gateway = await processOf(service, 'gateway')
    expect(gateway).toMatchObject({ pid: before.pid, restarts: 0 })
    expect(residentMib(gateway.pid)).toBeLessThan(before.mib + 150)
    expect(service.said.stderr).not.toContain('nobody foresaw')
    await goodAnswer()
  })
})
