/** What every engine dialect must do, over a model server that misbehaves on request. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { dialectOf, openWire } from '../../src/adapters/engine/index.ts'
import type { EngineKind } from '../../src/domain/serving/index.ts'
import type { EngineDialect, Wire } from '../../src/services/serve/index.ts'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'

const kinds: EngineKind[] = ['openai', 'embedded']

describe.each(kinds)('the %s dialect', kind => {
  const dialect: EngineDialect = dialectOf(kind)
  let engine: FakeEngine
  let wire: Wire

  beforeEach(async () => {
    engine = await startFakeEngine({ name: 'coder', dialect: 'llama-cpp' })
    wire = openWire()
  })
  afterEach(async () => {
    await wire.close()
    await engine.close()
  })

  const target = (apiKey: string | null = null) => ({ address: { url: `${engine.url}/v1` }, apiKey })
  const probe = () => dialect.probe(target(), wire, AbortSignal.timeout(1_000))

  test('its requests reach the route they are for, with the whole body', async () => {
    for (const path of ['chat/completions', 'completions', 'embeddings'] as const) {
      const body = { model: 'coder', messages: [{ role: 'user', content: 'Hi' }], prompt: 'Hi', input: 'Hi' }
      const { status, text } = await post(dialect.toRequest(path, body))
      expect([status, text.includes('"object"')]).toEqual([200, true])
      expect(engine.state().lastRequests.at(-1)).toMatchObject({ path: `/v1/${path}`, body })
    }
  })

  test('a probe tells an engine that is up from one that loads, fails and is gone', async () => {
    expect(await probe()).toEqual({ state: 'up' })
    engine.behave({ loadingMs: 60_000 })
    expect(await probe()).toEqual({ state: 'loading' })
    await engine.die()
    expect(await probe()).toMatchObject({
      state: 'failed',
      why: expect.stringMatching(/ECONNREFUSED|UND_ERR_SOCKET/) as string,
    })
  })

  test('a probe costs no inference', async () => {
    await probe()
    expect(engine.state().received).toBe(0)
  })

  test('errors become faults that tell whose mistake it was', async () => {
    const fault = async (change: Parameters<FakeEngine['behave']>[0]) => {
      engine.reset()
      engine.behave(change)
      const words = 'one two three four five six seven eight nine'
      const body = { model: 'coder', messages: [{ role: 'user', content: words }] }
      const { status, text } = await post(dialect.toRequest('chat/completions', body))
      return dialect.toFault(status, text)
    }
    expect(await fault({ contextLimit: 4 })).toMatchObject({ kind: 'context-exceeded', limit: 4 })
    expect(await fault({ status: 422 })).toMatchObject({ kind: 'engine-refused', status: 422 })
    expect(await fault({ status: 429 })).toMatchObject({ kind: 'not-ready' })
    expect(await fault({ loadingMs: 60_000 })).toMatchObject({ kind: 'not-ready' })
    expect(await fault({ status: 500 })).toMatchObject({ kind: 'engine-failed', status: 500 })
    expect(await fault({ apiKey: 'another' })).toMatchObject({ kind: 'engine-failed', status: 401 })
  })

  test.each(['', '<html>502</html>', '{', '[]', 'null', '{"error":null}', '{"error":"text"}', '{"message":7}'])(
    'an error that says %j is a fault, and nothing is thrown',
    text => {
      for (const status of [400, 404, 418, 500, 502]) expect(dialect.toFault(status, text).kind).toBeTypeOf('string')
    },
  )

  function post({ path, body }: { path: string; body: string }): Promise<{ status: number; text: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
    let status = 0
    let text = ''
    wire.post(
      target(),
      { path, body, requestId: 'test' },
      {
        head: code => {
          status = code
        },
        data: chunk => {
          text += chunk.toString('utf8')
          return true
        },
        end: () => resolve({ status, text }),
        failed: reject,
      },
    )
    return promise
  }
})
