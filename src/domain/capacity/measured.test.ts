import { expect, test } from 'vitest'
import { fakeGpu, fakeHost, fakeWorkload } from './fake.ts'
import { gibi, mebi } from './fleet.ts'
import { keyOf, parseLoadLog } from './measured.ts'
import { planFleet } from './plan.ts'
import type { Profile } from './profile.ts'

const llamaLog = `load_tensors: loading model tensors, this can take a while... (mmap = true)
load_tensors:        CUDA0 model buffer size =     0.00 MiB
load_tensors: loading model tensors, this can take a while... (mmap = true)
load_tensors:   CPU_Mapped model buffer size =   281.81 MiB
load_tensors:        CUDA0 model buffer size =  4403.49 MiB
llama_context: n_ctx         = 8192
llama_context:  CUDA_Host  output buffer size =     0.49 MiB
llama_kv_cache:      CUDA0 KV buffer size =   768.00 MiB
llama_kv_cache:      CUDA0 KV buffer size =   256.00 MiB
llama_context:      CUDA0 compute buffer size =   258.50 MiB
llama_context:  CUDA_Host compute buffer size =    24.01 MiB`

const vllmLog = `INFO 11-20 10:00:00 [gpu_model_runner.py:1843] Model loading took 64.3800 GiB and 41.2 seconds
INFO 11-20 10:01:00 [gpu_worker.py:298] Available KV cache memory: 5.37 GiB
INFO 11-20 10:01:00 [kv_cache_utils.py:1087] GPU KV cache size: 156,416 tokens
INFO 11-20 10:01:00 [kv_cache_utils.py:1091] Maximum concurrency for 32,768 tokens per request: 9.31x
INFO 11-20 10:01:30 [gpu_model_runner.py:2686] Graph capturing finished in 20 secs, took 0.83 GiB`

test('M1 llama.cpp: the last load counts, and caches of several kinds are added up', () => {
  expect(parseLoadLog(llamaLog)).toEqual({
    devices: [
      { device: 'CPU_Mapped', weights: Math.round(281.81 * mebi), kv: null, compute: null },
      { device: 'CUDA0', weights: Math.round(4403.49 * mebi), kv: 1024 * mebi, compute: Math.round(258.5 * mebi) },
      { device: 'CUDA_Host', weights: null, kv: null, compute: Math.round(0.49 * mebi) + Math.round(24.01 * mebi) },
    ],
    kvTokens: 8192,
    graphs: null,
  })
})

test('M1 vLLM: weights, cache and graphs', () => {
  expect(parseLoadLog(vllmLog)).toEqual({
    devices: [{ device: 'GPU', weights: Math.round(64.38 * gibi), kv: Math.round(5.37 * gibi), compute: null }],
    kvTokens: 156_416,
    graphs: Math.round(0.83 * gibi),
  })
})

test('a log of something else gives nothing', () => {
  expect(parseLoadLog('listening on 8080\n')).toBeNull()
})

const flags = { 'ctx-size': 8192 }
const measuredOn = (product: string, asked: Record<string, number> = flags) => {
  const workload = fakeWorkload({ model: 'llama3-1-8b', quantisation: 'q4-k-m', flags: asked })
  const measured = parseLoadLog(llamaLog)
  if (measured === null) throw new Error('the log was not read')
  const key = keyOf(fakeWorkload({ model: 'llama3-1-8b', quantisation: 'q4-k-m', flags }), ['RTX 4090'])
  const profile: Profile = { key, measured, source: 'llama.log' }
  return planFleet({ hosts: [fakeHost([fakeGpu('a', product)])], workloads: [{ ...workload, profiles: [profile] }] })
}

test('M1 M2 a plan takes what was measured under the same conditions, and cites it', () => {
  const [part] = measuredOn('RTX 4090').hosts[0]?.gpus[0]?.parts ?? []
  expect(part?.weightsBytes).toBe(Math.round(4403.49 * mebi))
  expect(part?.computeBytes).toBe(Math.round(258.5 * mebi))
  expect(part?.lines.filter(({ source }) => source === 'measured: llama.log').map(line => line.part)).toEqual([
    'weights',
    'compute',
  ])
})

test.each([
  ['on another card', 'RTX 3090', flags],
  ['with other flags', 'RTX 4090', { 'ctx-size': 4096 }],
])('M1 what was measured elsewhere does not count: %s', (_name, product, asked) => {
  const [part] = measuredOn(product, asked).hosts[0]?.gpus[0]?.parts ?? []
  expect(part?.lines.some(({ source }) => source.startsWith('measured'))).toBe(false)
})
