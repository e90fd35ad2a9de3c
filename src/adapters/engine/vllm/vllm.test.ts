import { describe, expect, test } from 'vitest'
import { versionName } from '../../../domain/units.ts'
import { fakeWire, target, type Answers } from '../openai/fake-wire.ts'
import { vllm } from './index.ts'

const probe = (answers: Answers, served: string | null = null) =>
  vllm.probe({ ...target, served }, fakeWire(answers), AbortSignal.timeout(5_000))
const up = { '~/health': { status: 200 }, '/models': { status: 200, text: '{"data":[{"id":"m"}]}' } }

describe('health', () => {
  test('503 is a process that died: while weights load, nobody listens', async () => {
    expect(await probe({ ...up, '~/health': { status: 503 } })).toMatchObject({
      state: 'failed',
      why: expect.stringContaining('restart') as string,
    })
    expect(await probe({ ...up, '~/health': { status: 503, text: '{"message":"Loading model"}' } })).toEqual({
      state: 'loading',
    })
  })

  // What vLLM 0.5 and 0.11 write, of the samples that count here.
  const old = `# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{model_name="org/Model-8B"} 3.0
vllm:num_requests_waiting{model_name="org/Model-8B"} 2.0
vllm:num_requests_waiting{model_name="other/OTHER"} 3.0
vllm:gpu_cache_usage_perc{model_name="org/Model-8B"} 0.0026235242675994863
vllm:prompt_tokens_total{model_name="org/Model-8B"} 90.0
vllm:generation_tokens_total{model_name="org/Model-8B"} 2546.0
`
  const current = `vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 1.0
vllm:num_requests_waiting{engine="0",model_name="m"} 0.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="m",reason="capacity"} 9.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.5
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.9
vllm:prompt_tokens_total{engine="0",model_name="m"} 1.2e+07
vllm:generation_tokens_total{engine="0",model_name="m"} 5.0
`

  test('metrics of old and new releases read alike, the served model’s where there are several', async () => {
    expect(await probe({ ...up, '~/metrics': { status: 200, text: old } }, 'org/Model-8B')).toMatchObject({
      load: { running: 3, waiting: 2, kvUse: 0.0026235242675994863, promptTokens: 90, generatedTokens: 2546 },
    })
    expect(await probe({ ...up, '~/metrics': { status: 200, text: old } })).toMatchObject({ load: { waiting: 5 } })
    expect(await probe({ ...up, '~/metrics': { status: 200, text: current } })).toMatchObject({
      load: { running: 4, waiting: 0, kvUse: 0.9, promptTokens: 12_000_000, generatedTokens: 5 },
    })
  })
})

test('tokens of a chat are counted with its tools, as its template will write them', () => {
  const body = {
    model: 'm',
    messages: [{ role: 'developer', content: 'x' }],
    tools: [{}],
    temperature: 1,
    stream: true,
  }
  expect(vllm.toRequest('tokenize', body, versionName('v')).body).toEqual({
    model: 'm',
    messages: [{ role: 'system', content: 'x' }],
    tools: [{}],
    add_generation_prompt: true,
  })
  expect(vllm.toRequest('tokenize', { model: 'm', prompt: 'x', temperature: 1 }, versionName('v')).body).toEqual({
    model: 'm',
    prompt: 'x',
  })
})

test('the newer name of max_tokens counts, under the older one; roles are those that templates know', () => {
  const messages = [
    { role: 'developer', content: 'x' },
    { role: 'user', content: 'y' },
  ]
  const body = { messages, max_tokens: 5, max_completion_tokens: 7 }
  expect(vllm.toRequest('chat/completions', body, versionName('v')).body).toEqual({
    messages: [{ role: 'system', content: 'x' }, messages[1]],
    max_tokens: 7,
  })
  expect(body.messages[0]?.role).toBe('developer')
})
