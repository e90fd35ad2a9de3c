import { describe, expect, test } from 'vitest'
import { versionName } from '../../../domain/units.ts'
import { fakeWire, target, type Answers } from '../openai/fake-wire.ts'
import { tensorrtLlm } from './index.ts'

const up = { '~/health': { status: 200 }, '/models': { status: 200, text: '{"data":[]}' } }
const probe = (answers: Answers) => tensorrtLlm.probe(target, fakeWire(answers), AbortSignal.timeout(5_000))

describe('load', () => {
  const iterations = (...list: unknown[]) => ({ '~/metrics': { status: 200, text: JSON.stringify(list) } })
  const busy = { numActiveRequests: 3, numQueuedRequests: 2, kvCacheStats: { usedNumBlocks: 1, freeNumBlocks: 3 } }

  test('is read from Prometheus’ text where it is there', async () => {
    const text = `trtllm_num_requests_running{model_name="m"} 4.0
trtllm_num_requests_waiting{model_name="m"} 1.0
trtllm_kv_cache_utilization{model_name="m"} 0.25
`
    expect(await probe({ ...up, '~/prometheus/metrics': { status: 200, text }, ...iterations(busy) })).toMatchObject({
      load: { running: 4, waiting: 1, kvUse: 0.25, promptTokens: null, generatedTokens: null },
    })
  })

  test('and else from the newest iteration; none means that nothing is known', async () => {
    expect(await probe({ ...up, ...iterations({ numActiveRequests: 9 }, busy) })).toMatchObject({
      load: { running: 3, waiting: 2, kvUse: 0.25 },
    })
    expect(
      await probe({
        ...up,
        ...iterations({ numActiveRequests: 9, kvCacheStats: { usedNumBlocks: 0, freeNumBlocks: 0 } }),
      }),
    ).toMatchObject({ load: { running: 9, waiting: null, kvUse: null } })
    for (const answer of [iterations(), iterations(7), { '~/metrics': { status: 200, text: '<html>' } }])
      expect(await probe({ ...up, ...answer })).toMatchObject({ state: 'up', load: null })
  })
})

test('an executor that has stopped has failed', async () => {
  expect(await probe({ ...up, '~/health': { status: 503 } })).toMatchObject({
    state: 'failed',
    why: expect.stringContaining('executor') as string,
  })
})

test('hints that it would refuse are left out, and nothing else is', () => {
  const body = { messages: [], store: true, metadata: {}, parallel_tool_calls: true, prompt_cache_key: 'x', seed: 1 }
  expect(tensorrtLlm.toRequest('chat/completions', body, versionName('v')).body).toEqual({ messages: [], seed: 1 })
})
