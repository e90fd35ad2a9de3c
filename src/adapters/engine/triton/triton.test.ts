import { expect, test } from 'vitest'
import { versionName } from '../../../domain/units.ts'
import { fakeWire, target, type Answers } from '../openai/fake-wire.ts'
import { triton } from './index.ts'

const up = { '~/health/ready': { status: 200 }, '/models': { status: 200, text: '{"data":[]}' } }
const probe = (answers: Answers) => triton.probe(target, fakeWire(answers), AbortSignal.timeout(5_000))

test('400 is a server that loads its models, 500 one that has none', async () => {
  expect(await probe({ ...up, '~/health/ready': { status: 400 } })).toEqual({ state: 'loading' })
  expect(await probe({ ...up, '~/health/ready': { status: 500 } })).toMatchObject({ state: 'failed' })
})

test('a core that is reached without the front end’s routes may serve', async () => {
  expect(await probe({ '/models': up['/models'] })).toEqual({ state: 'up', load: null, models: [] })
})

test('the backend’s own metrics count before the core’s', async () => {
  const core = 'nv_inference_pending_request_count{model="m",version="1"} 7\n'
  const tensorrt = `${core}nv_trt_llm_request_metrics{model="m",request_type="scheduled",version="1"} 3
nv_trt_llm_request_metrics{model="m",request_type="waiting",version="1"} 2
nv_trt_llm_request_metrics{model="m",request_type="max",version="1"} 512
nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="fraction",model="m",version="1"} 0.5
nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="max",model="m",version="1"} 6239
`
  const vllm = `${core}vllm:num_requests_running{model="m",version="1"} 1
vllm:prompt_tokens_total{model="m",version="1"} 40
vllm:generation_tokens_total{model="m",version="1"} 20
`
  const load = async (text: string) => probe({ ...up, '~/metrics': { status: 200, text } })
  expect(await load(tensorrt)).toMatchObject({ load: { running: 3, waiting: 2, kvUse: 0.5, promptTokens: null } })
  expect(await load(vllm)).toMatchObject({ load: { running: 1, waiting: 7, promptTokens: 40, generatedTokens: 20 } })
  expect(await load(core)).toMatchObject({ load: { running: null, waiting: 7 } })
})

test('a named tool whose name comes with every piece is one call, and the answer ends as one that calls', () => {
  const { repair } = triton.toRequest('chat/completions', { messages: [] }, versionName('v'))
  const pieces = ['{"a"', ':1}'].map(args => ({
    choices: [{ index: 0, delta: { tool_calls: [{ index: 0, function: { name: 'get', arguments: args } }] } }],
  }))
  const told = [...pieces, { choices: [{ index: 0, delta: { content: '' }, finish_reason: 'stop' }] }].map(chunk =>
    repair?.chunk(chunk),
  )
  expect(told).toMatchObject([
    {
      choices: [
        { delta: { tool_calls: [{ index: 0, type: 'function', function: { name: 'get', arguments: '{"a"' } }] } },
      ],
    },
    { choices: [{ delta: { tool_calls: [{ index: 0, function: { arguments: ':1}' } }] } }] },
    { choices: [{ finish_reason: 'tool_calls' }] },
  ])
  expect(JSON.stringify(told[1])).not.toContain('"get"')
})

test('an engine that tells no usage can count no tokens, and says so', () => {
  const { repair } = triton.toRequest('tokenize', { model: 'm', prompt: 'Hi' }, versionName('v'))
  expect(() => repair?.whole({ choices: [], usage: null })).toThrowError(/Triton.*not supported.*vllm/)
})
