import { expect, test } from 'vitest'
import { versionName } from '../../../domain/units.ts'
import { fakeWire, target } from '../openai/fake-wire.ts'
import { sglang } from './index.ts'

const coder = versionName('production-v1-qwen2-5-coder-7b-awq-p0')

test('it is not asked for its health, which has an idle engine make a token', async () => {
  const wire = fakeWire({ '/models': { status: 200, text: '{"data":[]}' } })
  expect(await sglang.probe(target, wire, AbortSignal.timeout(5_000))).toEqual({ state: 'up', load: null, models: [] })
  expect(wire.asked).toEqual(['/models', '~/metrics'])
})

test('ranks that share their work count once, replicas of data add up, and counters are those that move', async () => {
  const text = `sglang:num_running_reqs{dp_rank="0",model_name="m",tp_rank="0"} 3.0
sglang:num_running_reqs{dp_rank="0",model_name="m",tp_rank="1"} 3.0
sglang:num_running_reqs{dp_rank="1",model_name="m",tp_rank="2"} 1.0
sglang:num_queue_reqs{dp_rank="0",model_name="m",tp_rank="0"} 2.0
sglang:token_usage{dp_rank="0",model_name="m",tp_rank="0"} 0.1
sglang:token_usage{dp_rank="1",model_name="m",tp_rank="2"} 0.2
sglang:prompt_tokens_total{model_name="m"} 7000.0
sglang:generation_tokens_total{model_name="m"} 8000.0
sglang:realtime_tokens_total{dp_rank="0",mode="prefill_compute",model_name="m",tp_rank="0"} 100.0
sglang:realtime_tokens_total{dp_rank="0",mode="prefill_cache",model_name="m",tp_rank="0"} 900.0
sglang:realtime_tokens_total{dp_rank="0",mode="decode",model_name="m",tp_rank="0"} 50.0
`
  const wire = fakeWire({ '/models': { status: 200, text: '{"data":[]}' }, '~/metrics': { status: 200, text } })
  expect(await sglang.probe(target, wire, AbortSignal.timeout(5_000))).toMatchObject({
    load: { running: 4, waiting: 2, kvUse: 0.2, promptTokens: 100, generatedTokens: 50 },
  })
})

test('a prompt that was filled goes with an empty suffix, so that no template is put round it; others go alone', () => {
  expect(sglang.toRequest('completions', { prompt: 'a', suffix: 'b' }, coder).body).toEqual({
    prompt: '<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>',
    suffix: '',
  })
  expect(sglang.toRequest('completions', { prompt: 'a', suffix: null }, coder).body).toEqual({ prompt: 'a' })
})
