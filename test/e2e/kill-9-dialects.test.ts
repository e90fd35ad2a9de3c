/** kill -9 of the gateway in the middle of answers in every dialect: each is interrupted in the log, and no half of it is kept. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { startService, type Service } from '../support/service.ts'
import { processOf, until } from '../support/settled.ts'
import { requests } from '../support/well-formed.ts'

let engine: FakeEngine
let service: Service

beforeAll(async () => {
  engine = await startFakeEngine({ tokens: 100_000, gapMs: 5 })
  service = await startService({
    spec: `
apiVersion: holdfast/v1
name: killed
versions: [{ name: dev-v1.0-fake-fp16-p0, engine: { kind: openai }, replicas: [{ id: fake, url: "${engine.url}/v1" }] }]
models: [{ name: coder, live: dev-v1.0-fake-fp16-p0 }]
`,
  })
})
afterAll(async () => {
  await service?.stop()
  await engine?.close()
})

const streams = ['chat-stream', 'message-stream', 'response-stream'] as const

test('what the gateway took along is interrupted, and cannot be gone on from', async () => {
  const begun = await Promise.all(
    streams.map(async asked => {
      const { path, body } = requests[asked]
      const answer = await service.call(path, {
        model: 'coder',
        ...body,
        ...('max_tokens' in body ? { max_tokens: 100_000 } : {}),
      })
      const reader = answer.body?.getReader()
      await reader?.read()
      return { reader, id: answer.headers.get('x-request-id') }
    }),
  )
  const { pid } = await processOf(service, 'gateway')
  process.kill(pid, 'SIGKILL')
  for (const { reader } of begun) await expect(readOn(reader)).rejects.toThrow()
  await engine.until(({ running }) => running === 0)

  const outcomes = async (): Promise<unknown[]> => {
    const answer = await service.call('/api/v1/requests').catch(() => null)
    if (answer === null) return ['not yet']
    const { requests: rows } = (await answer.json()) as { requests: { id: string; outcome: string }[] }
    return begun.map(({ id }) => rows.find(row => row.id === id)?.outcome)
  }
  await until('each is interrupted in the log', async () => (await outcomes()).every(one => one === 'interrupted'))

  const response = `resp_${begun[2]?.id?.replaceAll('-', '')}`
  expect((await service.call(`/v1/responses/${response}`)).status).toBe(404)
  const goOn = { model: 'coder', input: 'And?', previous_response_id: response }
  expect(await (await service.call('/v1/responses', goOn)).json()).toMatchObject({
    error: { code: 'previous_response_not_found' },
  })
})

async function readOn(reader: ReadableStreamDefaultReader<Uint8Array> | undefined): Promise<void> {
  for (;;) {
    const read = await reader?.read()
    if (read?.done !== false) return
  }
}
