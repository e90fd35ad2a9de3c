import { describe, expect, test } from 'vitest'
import { fakeWire, target } from './fake-wire.ts'
import { probe, probeWith, prometheusAt, saysLoading } from './health.ts'

const patience = () => AbortSignal.timeout(5_000)

const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })
const names = { running: [{ name: 'run' }], waiting: [], kvUse: [], promptTokens: [], generatedTokens: [] }

describe('any address', () => {
  const at = (status: number, text = '') => probe(target, fakeWire({ '/models': { status, text } }), patience())

  test('200 is up and tells the models, 503 is loading, and nothing else is asked for', async () => {
    const wire = fakeWire({ '/models': { status: 200, text: '{"data":[{"id":"a"},{"id":"b"},{"x":1},7]}' } })
    expect(await probe(target, wire, patience())).toEqual({ state: 'up', load: null, models: ['a', 'b'] })
    expect(wire.asked).toEqual(['/models'])
    expect(await at(503)).toEqual({ state: 'loading' })
  })

  test('other failures say what is wrong, in words that people search for', async () => {
    expect(await at(500)).toMatchObject({ state: 'failed', why: expect.stringContaining('500') as string })
    for (const status of [401, 403])
      expect(await at(status)).toMatchObject({
        state: 'failed',
        why: expect.stringContaining('credentials') as string,
      })
    for (const [error, word] of [
      [refused, 'ECONNREFUSED'],
      [new Error('odd'), 'odd'],
    ] as const)
      expect(await probe(target, fakeWire({ '/models': error }), patience())).toMatchObject({
        state: 'failed',
        why: expect.stringContaining(word) as string,
      })
  })

  test('silence is told as silence', async () => {
    expect(await probe(target, fakeWire({ '/models': new Error('aborted') }), AbortSignal.abort())).toEqual({
      state: 'failed',
      why: 'it does not answer GET /models',
    })
  })

  test('one that lists no models may still serve', async () => {
    expect(await at(404)).toEqual({ state: 'up', load: null, models: null })
    for (const text of ['<html>', '[]', '{"data":7}', ''])
      expect(await at(200, text)).toEqual({ state: 'up', load: null, models: null })
  })
})

describe('an engine with routes for readiness and metrics', () => {
  const full = probeWith({
    ready: { path: '~/ready', judge: answer => (saysLoading(answer) ? { state: 'loading' } : null) },
    metrics: [prometheusAt('~/one', names), prometheusAt('~/two', names)],
  })
  const up = { '~/ready': { status: 200 }, '/models': { status: 200, text: '{"data":[]}' } }

  test('is asked for readiness first, and for nothing more when that settles it', async () => {
    const wire = fakeWire({ '~/ready': { status: 503, text: 'Loading model' } })
    expect(await full(target, wire, patience())).toEqual({ state: 'loading' })
    expect(wire.asked).toEqual(['~/ready'])
    expect(await full(target, fakeWire({ '~/ready': refused }), patience())).toMatchObject({ state: 'failed' })
  })

  test('the first metrics that tell something count', async () => {
    for (const first of [{ status: 404 }, { status: 501 }, { status: 200, text: 'other 1\n' }, refused])
      expect(
        await full(target, fakeWire({ ...up, '~/one': first, '~/two': { status: 200, text: 'run 3\n' } }), patience()),
      ).toMatchObject({ state: 'up', load: { running: 3 } })
  })

  test('one without metrics is up, and its load is not known', async () => {
    expect(await full(target, fakeWire(up), patience())).toEqual({ state: 'up', load: null, models: [] })
  })

  test('metrics are read where the spec says they are', async () => {
    const metrics = 'http://127.0.0.1:8002/metrics'
    const wire = fakeWire({ ...up, [metrics]: { status: 200, text: 'run{model="m"} 4\nrun{model="n"} 5\n' } })
    expect(await full({ ...target, metrics, served: 'm' }, wire, patience())).toMatchObject({ load: { running: 4 } })
    expect(wire.asked).toEqual(['~/ready', '/models', metrics])
  })
})

test.each([
  [503, '{"error":{"message":"Loading model"}}', true],
  [503, '{"detail":"engine is not ready"}', true],
  [503, '', false],
  [503, '{"error":"Model is overloaded"}', false],
  [503, '<html><h1>503 Service Temporarily Unavailable</h1></html>', false],
  [500, 'Loading model', false],
])('%i %s: loading is %s', (status, text, loading) => {
  expect(saysLoading({ status, text })).toBe(loading)
})
