import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { parseSpec } from '../spec/index.ts'
import { importLiteLlm } from './index.ts'

const machine: unknown = parse(readFileSync(new URL('testdata/two-gpu-machine.yaml', import.meta.url), 'utf8'))

/** One deployment of a model `m`, with these parameters. */
const one = (params: object, rest: object = {}) => ({
  model_list: [
    { model_name: 'm', litellm_params: { model: 'hosted_vllm/x', api_base: 'http://h:1', ...params }, ...rest },
  ],
})
const whyOf = (config: unknown, path: string): string =>
  importLiteLlm(config).leftOut.find(each => each.path === path)?.why ?? 'not told'

function expectValid(config: unknown): void {
  const reading = parseSpec(importLiteLlm(config).spec)
  expect(reading.ok || reading.problems).toBe(true)
}

test('a proxy in front of two vLLM and an Ollama becomes a spec that is valid', () => {
  const { spec } = importLiteLlm(machine)
  expect(spec).toEqual({
    gateway: { limits: { inFlight: 500, request: '600s' } },
    versions: [
      {
        name: 'production-v1.0-qwen2-5-coder-32b-instruct-awq-p0',
        engine: { kind: 'vllm', servedName: 'Qwen/Qwen2.5-Coder-32B-Instruct-AWQ' },
        sampling: { temperature: 0.2 },
        replicas: [
          { id: 'coder-gpu-1', url: 'http://gpu-1:8000/v1', apiKey: '${env:VLLM_KEY}', weight: 600 },
          {
            id: 'qwen2-5-coder-32b-instruct-awq-1',
            url: 'http://gpu-2:8000/v1',
            apiKey: '${env:VLLM_KEY}',
            weight: 300,
          },
        ],
      },
      {
        name: 'production-v1.0-llama3-1-8b-instruct-q4-k-m-p0',
        engine: { kind: 'ollama', servedName: 'llama3.1:8b-instruct-q4_K_M' },
        replicas: [{ id: 'llama3-1-8b-instruct-q4-k-m-1', url: 'http://mini:11434/v1' }],
      },
      {
        name: 'production-v1.0-bge-m3-fp16-p0',
        engine: { kind: 'openai', servedName: 'BAAI/bge-m3', task: 'embed' },
        replicas: [{ id: 'bge-m3-fp16-1', url: 'http://gpu-2:8001/v1', apiKey: '${env:ENGINE_KEY_EMBED}' }],
      },
    ],
    models: [
      { name: 'coder', live: 'production-v1.0-qwen2-5-coder-32b-instruct-awq-p0', fallbacks: ['chat'] },
      { name: 'chat', live: 'production-v1.0-llama3-1-8b-instruct-q4-k-m-p0' },
      { name: 'embed', live: 'production-v1.0-bge-m3-fp16-p0' },
      { name: 'gpt-3.5-turbo', live: 'production-v1.0-llama3-1-8b-instruct-q4-k-m-p0' },
      { name: 'code', live: 'production-v1.0-qwen2-5-coder-32b-instruct-awq-p0', fallbacks: ['chat'] },
    ],
  })
  expectValid(machine)
})

test('whatever is not carried over is told, by its path', () => {
  expect(importLiteLlm(machine).leftOut.map(each => each.path)).toEqual([
    'model_list[0].litellm_params.rpm',
    'model_list[0].litellm_params.max_parallel_requests',
    'model_list[0].litellm_params.timeout',
    'model_list[0].model_info.access_groups',
    'model_list[0].model_info.max_input_tokens',
    'model_list[0].model_info.supports_function_calling',
    'model_list[1].litellm_params.rpm',
    'model_list[2].litellm_params.drop_params',
    'model_list[3]',
    'model_list[4].litellm_params.api_key',
    'model_list[5]',
    'model_list[6]',
    'router_settings.model_group_alias.code.hidden',
    'litellm_settings.fallbacks[1].gpt-4o',
    'router_settings.routing_strategy',
    'router_settings.allowed_fails',
    'router_settings.cooldown_time',
    'router_settings.redis_host',
    'litellm_settings.drop_params',
    'litellm_settings.num_retries',
    'litellm_settings.context_window_fallbacks',
    'litellm_settings.callbacks',
    'litellm_settings.cache',
    'litellm_settings.cache_params',
    'general_settings.master_key',
    'general_settings.database_url',
    'general_settings.alerting',
    'environment_variables.OLLAMA_BASE',
    'environment_variables.SLACK_WEBHOOK_URL',
  ])
})

test('a secret comes into neither the spec nor what is told', () => {
  const told = JSON.stringify(importLiteLlm(machine))
  expect(told).not.toMatch(/\w-secret|1234/)
  expect(told).toContain('Set ENGINE_KEY_EMBED to it')
})

test('the same written key has the same variable, another one another', () => {
  const { spec } = importLiteLlm({
    model_list: ['aaaa', 'aaaa', 'bbbb'].map((key, at) => ({
      model_name: `m${at === 2 ? 0 : at}`,
      litellm_params: { model: 'hosted_vllm/x', api_base: `http://h:${at}`, api_key: key },
    })),
  })
  expect(spec.versions?.flatMap(version => version.replicas?.map(replica => replica.apiKey))).toEqual([
    '${env:ENGINE_KEY_M0}',
    '${env:ENGINE_KEY_M0_2}',
    '${env:ENGINE_KEY_M0}',
  ])
})

test('a key that only fills a place is not sent', () => {
  const { spec, leftOut } = importLiteLlm(one({ api_key: 'EMPTY' }))
  expect(spec.versions?.[0]?.replicas?.[0]).not.toHaveProperty('apiKey')
  expect(leftOut).toMatchObject([{ path: 'model_list[0].litellm_params.api_key' }])
})

test.each([
  ['hosted_vllm/a/b', 'vllm', 'a/b', 'http://h:1/v1'],
  ['openai/a', 'openai', 'a', 'http://h:1/v1'],
  ['ollama/a:7b', 'ollama', 'a:7b', 'http://h:1/v1'],
  ['huggingface/a/b', 'tgi', 'a/b', 'http://h:1/v1'],
  ['meta-llama/a', 'openai', 'meta-llama/a', 'http://h:1/v1'],
])('%s is an engine of kind %s', (model, kind, servedName, url) => {
  const { spec } = importLiteLlm(one({ model }))
  expect(spec.versions).toMatchObject([{ engine: { kind, servedName }, replicas: [{ url }] }])
})

test('an address with a path is kept as it is written, and Ollama has its usual one', () => {
  const urlOf = (params: object) => importLiteLlm(one(params)).spec.versions?.[0]?.replicas?.[0]?.url
  expect(urlOf({ api_base: 'https://h/llm/v2/' })).toBe('https://h/llm/v2')
  expect(urlOf({ model: 'ollama/a', api_base: null })).toBe('http://localhost:11434/v1')
})

test('an address in the environment is looked up, and without it the deployment is left out by name', () => {
  const config = one({ api_base: 'os.environ/VLLM_BASE' })
  const found = importLiteLlm(config, name => (name === 'VLLM_BASE' ? 'http://gpu:8000/v1' : undefined))
  expect(found.spec.versions).toMatchObject([{ replicas: [{ url: 'http://gpu:8000/v1' }] }])
  expect(importLiteLlm(config).spec.models).toEqual([])
  expect(whyOf(config, 'model_list[0]')).toContain('VLLM_BASE')
})

test('a credential that is named gives address and key', () => {
  const { spec } = importLiteLlm({
    ...one({ api_base: null, litellm_credential_name: 'lab' }),
    credential_list: [
      { credential_name: 'lab', credential_values: { api_base: 'http://lab:1/v1', api_key: 'os.environ/LAB' } },
    ],
  })
  expect(spec.versions?.[0]?.replicas).toMatchObject([{ url: 'http://lab:1/v1', apiKey: '${env:LAB}' }])
})

test('cloud providers, wildcards, addresses with passwords and unknown modes are left out, each with its reason', () => {
  expect(whyOf(one({ model: 'bedrock/claude' }), 'model_list[0]')).toContain("'bedrock'")
  expect(whyOf(one({ model: 'gpt-4o', api_base: '' }), 'model_list[0]')).toContain('OpenAI’s own service')
  expect(whyOf(one({ model: 'openai/*' }), 'model_list[0]')).toContain('*')
  expect(whyOf(one({ api_base: 'http://user:password@h:1' }), 'model_list[0]')).toContain('user and password')
  expect(whyOf(one({}, { model_info: { mode: 'image_generation' } }), 'model_list[0]')).toContain('mode')
  expect(whyOf(one({ weight: 0 }), 'model_list[0]')).toContain('weight is 0')
})

test('order makes backups, and a third place is told', () => {
  const { spec, leftOut } = importLiteLlm({
    model_list: [3, 1, 2].map(order => ({
      model_name: 'm',
      litellm_params: { model: 'hosted_vllm/x', api_base: `http://h:${order}`, order },
    })),
  })
  expect(spec.versions?.[0]?.replicas?.map(({ url, backup }) => [url, backup])).toEqual([
    ['http://h:3/v1', true],
    ['http://h:1/v1', undefined],
    ['http://h:2/v1', true],
  ])
  expect(leftOut.map(each => each.path)).toEqual(['model_list[0].litellm_params.order'])
})

test('a deployment’s id names its replica, where it can and nobody has it yet', () => {
  const { spec } = importLiteLlm({
    model_list: ['gpu', 'gpu', 'a b', 'x-fp16-2'].map((id, at) => ({
      model_name: `m${at % 2}`,
      litellm_params: { model: 'hosted_vllm/x', api_base: `http://h:${at}` },
      model_info: { id },
    })),
  })
  expect(spec.versions?.flatMap(version => version.replicas?.map(replica => replica.id))).toEqual([
    'gpu',
    'x-fp16-1',
    'x-2-fp16-2',
    'x-fp16-2',
  ])
})

test('rates share out requests only where LiteLLM does so: simple-shuffle, and no weights', () => {
  const config = (strategy: string, weight?: number) => ({
    model_list: [1, 2].map(at => ({
      model_name: 'm',
      litellm_params: {
        model: 'hosted_vllm/x',
        api_base: `http://h:${at}`,
        rpm: at * 100,
        ...(at === 1 ? { weight } : {}),
      },
    })),
    router_settings: { routing_strategy: strategy },
  })
  const weights = (given: unknown) => importLiteLlm(given).spec.versions?.[0]?.replicas?.map(({ weight }) => weight)
  expect(weights(config('simple-shuffle'))).toEqual([100, 200])
  expect(weights(config('least-busy'))).toEqual([undefined, undefined])
  expect(weights(config('simple-shuffle', 5))).toEqual([5, undefined])
})

test('deployments of one name that are not the same thing become models of their own, to fall back to', () => {
  const config = {
    model_list: [
      { model_name: 'm', litellm_params: { model: 'ollama/small', order: 2 } },
      { model_name: 'm', litellm_params: { model: 'hosted_vllm/big', api_base: 'http://h:1', order: 1 } },
      { model_name: 'm-2', litellm_params: { model: 'hosted_vllm/other', api_base: 'http://h:2' } },
    ],
    router_settings: { fallbacks: [{ m: ['m-2'] }] },
  }
  const { spec, leftOut } = importLiteLlm(config)
  expect(spec.models).toEqual([
    { name: 'm', live: 'production-v1.0-big-fp16-p0', fallbacks: ['m-3', 'm-2'] },
    { name: 'm-3', live: 'production-v1.0-small-fp16-p0' },
    { name: 'm-2', live: 'production-v1.0-other-fp16-p0' },
  ])
  expect(leftOut).toMatchObject([{ path: 'model_list[0]', why: expect.stringContaining('m-3') }])
})

test('default fallbacks are for models without their own', () => {
  const models = ['a', 'b', 'c'].map(name => ({ model_name: name, litellm_params: { model: `ollama/${name}` } }))
  for (const settings of [{ default_fallbacks: ['c'] }, { fallbacks: [{ '*': ['c'] }] }]) {
    const fallbacks = [{ a: ['b'] }, ...('fallbacks' in settings ? settings.fallbacks : [])]
    const { spec } = importLiteLlm({ model_list: models, litellm_settings: { ...settings, fallbacks } })
    expect(spec.models?.map(model => model.fallbacks)).toEqual([['b'], ['c'], undefined])
  }
})

test('bounds come from the router first, and what is no bound is told', () => {
  const config = {
    router_settings: { timeout: '45.5', stream_timeout: -1 },
    litellm_settings: { request_timeout: 600 },
    general_settings: { max_request_size_mb: 32, global_max_parallel_requests: 1.5 },
  }
  expect(importLiteLlm(config).spec.gateway).toEqual({ limits: { body: '32MiB', request: '45.5s' } })
  expect(importLiteLlm(config).leftOut.map(each => each.path)).toEqual([
    'litellm_settings.request_timeout',
    'general_settings.global_max_parallel_requests',
    'router_settings.stream_timeout',
  ])
})

test('the admin key is told with the variable that holds it', () => {
  const { leftOut } = importLiteLlm({ general_settings: { master_key: 'os.environ/LITELLM_MASTER_KEY' } })
  expect(leftOut[0]?.instead).toContain('the value of LITELLM_MASTER_KEY')
})

test('a key that nobody knows is told, wherever it stands', () => {
  const unknown = { zzz: 1 }
  const config = {
    ...one(unknown, { ...unknown, model_info: unknown }),
    ...unknown,
    litellm_settings: unknown,
    router_settings: unknown,
    general_settings: unknown,
  }
  expect(
    importLiteLlm(config)
      .leftOut.map(each => each.path)
      .toSorted(),
  ).toEqual([
    'general_settings.zzz',
    'litellm_settings.zzz',
    'model_list[0].litellm_params.zzz',
    'model_list[0].model_info.zzz',
    'model_list[0].zzz',
    'router_settings.zzz',
    'zzz',
  ])
})

const words = fc.constantFrom(
  'm',
  'coder',
  '*',
  'hosted_vllm/a/B-awq',
  'ollama/q4_K_M',
  'openai/',
  'azure/x',
  'http://h:1',
  'http://h:1/v1/',
  'os.environ/X',
  'os.environ/',
  'sk-key',
  'embedding',
  'rerank',
  'constructor',
  '__proto__',
  '',
)
const anything = fc.oneof({ weight: 3, arbitrary: words }, fc.double(), fc.integer(), fc.jsonValue({ maxDepth: 2 }))
const publicName = fc.constantFrom('m', 'n', 'm-2', 'x/y', 'has space', 'ä', '', 'm'.repeat(128), 'm'.repeat(129))
const params = fc.record(
  {
    model: fc.constantFrom('hosted_vllm/a/B-awq', 'ollama/q4_K_M', 'openai/', 'hosted_vllm/x', 'azure/x', '*'),
    api_base: fc.constantFrom('http://h:1', 'http://h:1/v1/', 'os.environ/X', 'http://a b', 'http://u:p@h'),
    api_key: fc.oneof(fc.constantFrom('os.environ/X', 'os.environ/', 'sk-key', 'EMPTY'), anything),
    weight: fc.oneof(fc.constantFrom(1, 2, '3', 0), fc.double(), anything),
    order: fc.oneof(fc.constantFrom(1, 2, 3), anything),
    rpm: fc.oneof(fc.constantFrom(10, 20), anything),
    temperature: fc.oneof(fc.constant(0.2), fc.double(), anything),
    stop: anything,
  },
  { requiredKeys: ['model', 'api_base'] },
)
const info = fc.record(
  {
    id: fc.oneof(fc.constantFrom('gpu', 'gpu-1', 'b-awq-1', 'a b', '-'), anything),
    mode: fc.constantFrom('chat', 'embedding', 'rerank', 'audio_speech', 'image_generation'),
  },
  { requiredKeys: [] },
)
const deployment = fc.oneof(
  { weight: 5, arbitrary: fc.record({ model_name: publicName, litellm_params: params, model_info: info }) },
  fc.record({ model_name: anything, litellm_params: anything, model_info: anything }),
  anything,
)
const fallbacks = fc.array(fc.dictionary(fc.constantFrom('m', 'n', '*', 'm-2'), fc.array(publicName)))
const settings = fc.oneof(
  fc.record(
    {
      fallbacks: fc.oneof(fallbacks, anything),
      default_fallbacks: fc.array(publicName),
      timeout: anything,
      stream_timeout: fc.double(),
      request_timeout: fc.double(),
      model_group_alias: fc.dictionary(publicName, publicName),
      global_max_parallel_requests: fc.double(),
      max_request_size_mb: fc.double(),
    },
    { requiredKeys: [] },
  ),
  anything,
)

test('any config at all gives a valid spec', () => {
  fc.assert(fc.property(fc.jsonValue(), expectValid), { numRuns: 300 })
  fc.assert(
    fc.property(
      fc.record(
        {
          model_list: fc.array(deployment, { maxLength: 6 }),
          router_settings: settings,
          litellm_settings: settings,
          general_settings: settings,
        },
        { requiredKeys: ['model_list'] },
      ),
      expectValid,
    ),
    { numRuns: 1000 },
  )
})
