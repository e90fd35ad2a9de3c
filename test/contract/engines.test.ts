/** What every engine dialect must do, over a model server that speaks as the engine does and misbehaves on request. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { dialectOf, openWire } from '../../src/adapters/engine/index.ts'
import { FaultError, toHttp } from '../../src/domain/fault.ts'
import type { EngineKind, EngineLoad, EnginePath } from '../../src/domain/serving/index.ts'
import { versionName } from '../../src/domain/units.ts'
import type { EngineRequest, Probe, Target, Wire, WireCall } from '../../src/services/serve/index.ts'
import { startFakeEngine, type BehaviourChange, type FakeEngine } from '../../tools/fake-engine/index.ts'

/** What a kind can't do or tell; everything else every kind does. */
type Kind = {
  kind: EngineKind
  /** Whose manners the fake has. */
  fake: NonNullable<BehaviourChange['dialect']>
  /** `toRequest` refuses these. */
  unsupported: readonly EnginePath[]
  /** Passed on, since some releases have them; the fake's does not. */
  newer?: readonly EnginePath[]
  /** What a busy engine tells of its load. */
  load: readonly (keyof EngineLoad)[]
  /** Thought comes apart from the answer. */
  reasoning: boolean
  /** A chat's tokens are counted without an inference. */
  countsChats: boolean
  /** What its readiness says while the fake loads. */
  whileLoading: Probe['state']
  /** Another model's name is refused. */
  knowsNames: boolean
  /** The flags that tools need are told. */
  toolFlags: boolean
  /** Without a parser it hands on what the model wrote of its calls. */
  handsText: boolean
  /** `suffix` becomes the model's own format in the prompt; otherwise the engine takes it. */
  fillsPrompt: boolean
  /** A call that a client forces is made; otherwise that is refused. */
  forcesTools: boolean
  /** A prompt that is too long is refused; otherwise it is cut without a word. */
  refusesLong: boolean
}

const sound: readonly EnginePath[] = ['audio/transcriptions', 'audio/speech']
const all: readonly (keyof EngineLoad)[] = ['running', 'waiting', 'kvUse', 'promptTokens', 'generatedTokens']
const gauges = all.slice(0, 3)
const usual = {
  whileLoading: 'loading',
  knowsNames: false,
  toolFlags: false,
  handsText: false,
  fillsPrompt: true,
  forcesTools: true,
  refusesLong: true,
} as const

const kinds: readonly Kind[] = [
  {
    ...usual,
    kind: 'openai',
    handsText: true,
    fake: 'openai',
    unsupported: [],
    newer: ['rerank'],
    load: [],
    reasoning: true,
    countsChats: false,
    knowsNames: true,
    fillsPrompt: false,
  },
  {
    ...usual,
    kind: 'vllm',
    fake: 'vllm',
    unsupported: [],
    load: all,
    reasoning: true,
    countsChats: true,
    knowsNames: true,
    toolFlags: true,
  },
  {
    ...usual,
    kind: 'sglang',
    handsText: true,
    fake: 'sglang',
    unsupported: ['audio/speech'],
    newer: ['audio/transcriptions'],
    // Those of its counters that move while it works are newer than the fake's.
    load: gauges,
    reasoning: true,
    countsChats: false,
  },
  {
    ...usual,
    kind: 'tensorrt-llm',
    handsText: true,
    fake: 'tensorrt-llm',
    unsupported: ['rerank', ...sound],
    newer: ['embeddings'],
    load: gauges,
    reasoning: true,
    countsChats: false,
  },
  {
    ...usual,
    kind: 'triton',
    handsText: true,
    fake: 'triton',
    unsupported: ['rerank', ...sound],
    load: gauges,
    reasoning: false,
    countsChats: false,
    knowsNames: true,
  },
  {
    ...usual,
    kind: 'tgi',
    fake: 'tgi',
    unsupported: ['embeddings', 'rerank', ...sound],
    load: ['running', 'waiting'],
    reasoning: false,
    countsChats: true,
    // It listens once it has loaded: later, 503 is a failure.
    whileLoading: 'failed',
  },
  {
    ...usual,
    kind: 'llama-cpp',
    fake: 'llama-cpp',
    unsupported: ['audio/speech'],
    newer: ['audio/transcriptions'],
    load: all,
    reasoning: true,
    countsChats: true,
    fillsPrompt: false,
  },
  {
    ...usual,
    kind: 'ollama',
    fake: 'ollama',
    unsupported: ['rerank', ...sound],
    load: [],
    reasoning: true,
    countsChats: false,
    // It loads a model when it is asked for.
    whileLoading: 'up',
    fillsPrompt: false,
    forcesTools: false,
    refusesLong: false,
  },
]

const version = versionName('production-v1-qwen2-5-coder-7b-awq-p0')
const messages = [{ role: 'user', content: 'Hi there' }]
const patience = () => AbortSignal.timeout(2_000)
const tool = (name: string) => ({
  type: 'function',
  function: {
    name,
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
})

describe.each(kinds)('the $kind dialect', traits => {
  const { kind, fake } = traits
  const dialect = dialectOf(kind)
  let engine: FakeEngine
  let wire: Wire

  beforeEach(async () => {
    engine = await startFakeEngine({ name: 'coder', dialect: fake })
    wire = openWire()
  })
  afterEach(async () => {
    await wire.close()
    await engine.close()
  })

  const target = (): Target => ({
    address: { url: `${engine.url}/v1` },
    metrics: null,
    apiKey: null,
    served: 'coder',
  })
  const probe = (signal = patience()): Promise<Probe> => dialect.probe(target(), wire, signal)
  const lastRequest = () => engine.state().lastRequests.at(-1)

  /** Sends, and hears out. */
  function post({ path, body }: EngineRequest): Promise<{ status: number; text: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
    let status = 0
    let text = ''
    const request = { path, body: JSON.stringify(body), contentType: 'application/json', requestId: 'test' }
    wire.post(target(), request, {
      head: code => {
        status = code
      },
      data: chunk => {
        text += chunk.toString('utf8')
        return true
      },
      end: () => resolve({ status, text }),
      failed: reject,
    })
    return promise
  }

  async function ask(path: EnginePath, body: Record<string, unknown>): Promise<Record<string, unknown>> {
    const request = dialect.toRequest(path, { model: 'coder', ...body }, version)
    const { status, text } = await post(request)
    expect([status, text]).toEqual([200, expect.anything()])
    const answer: unknown = JSON.parse(text)
    if (request.repair !== null) return request.repair.whole(answer)
    return answer as Record<string, unknown>
  }

  /** The chunks that a client gets: those without a mark as they came. */
  async function askStream(body: Record<string, unknown>): Promise<Record<string, unknown>[]> {
    const options = { model: 'coder', messages, stream: true, stream_options: { include_usage: true }, ...body }
    const request = dialect.toRequest('chat/completions', options, version)
    const { status, text } = await post(request)
    expect(status).toBe(200)
    const events = text.split('\n\n').filter(event => event.startsWith('data:'))
    expect(events.pop()).toBe('data: [DONE]')
    const { repair } = request
    return events.flatMap(event => {
      const chunk = JSON.parse(event.slice(5)) as Record<string, unknown>
      const plain = repair === null || (repair.marks.length > 0 && !repair.marks.some(mark => event.includes(mark)))
      return plain ? [chunk] : [repair.chunk(chunk)].filter(mended => mended !== null)
    })
  }

  describe('requests', () => {
    const bodies: Record<EnginePath, Record<string, unknown>> = {
      'chat/completions': { messages },
      'completions': { prompt: 'Hi' },
      'embeddings': { input: 'Hi' },
      'rerank': { query: 'a', documents: ['b a', 'b'] },
      'tokenize': { prompt: 'one two' },
      'audio/transcriptions': {},
      'audio/speech': { input: 'Hi', voice: 'x' },
    }
    const paths = Object.keys(bodies) as EnginePath[]

    test.each(paths.filter(path => !traits.unsupported.includes(path)))('for %s are made', async path => {
      const request = dialect.toRequest(path, { model: 'coder', ...bodies[path] }, version)
      const isForm = path === 'audio/transcriptions'
      if (isForm || traits.newer?.includes(path) === true) return expect(request.path).toBe(`/${path}`)
      const { status } = await post(request)
      expect([status, lastRequest()?.body]).toEqual([200, request.body])
    })

    test.each([...traits.unsupported])('for %s are refused, with what to do instead', path => {
      const refuse = () => dialect.toRequest(path, { model: 'coder', ...bodies[path] }, version)
      expect(refuse).toThrowError(FaultError)
      expect(refuse).toThrowError(new RegExp(`/v1/${path}.* on .* is not supported\\. Serve the`))
    })

    test('the rest of a body arrives as it was', async () => {
      const body = { messages, temperature: 0.5, seed: 7, tools: [tool('get')], chat_template_kwargs: { a: 1 } }
      await ask('chat/completions', body)
      expect(lastRequest()?.body).toEqual({ model: 'coder', ...body })
    })

    test('a suffix fills in the middle', async () => {
      const answer = await ask('completions', { prompt: 'def f(', suffix: '): pass' })
      expect(answer['choices']).toHaveLength(1)
      const sent = lastRequest()?.body as Record<string, unknown>
      const filled = '<|fim_prefix|>def f(<|fim_suffix|>): pass<|fim_middle|>'
      if (traits.fillsPrompt) expect([sent['prompt'], sent['suffix'] ?? '']).toEqual([filled, ''])
      const unknown = versionName('production-v1-llama3-8b-awq-p0')
      const body = { prompt: 'def f(', suffix: '): pass' }
      if (traits.fillsPrompt)
        expect(() => dialect.toRequest('completions', body, unknown)).toThrowError(/suffix.*llama3-8b/)
    })
  })

  describe('health', () => {
    test('a probe tells an engine that is up from one that loads, refuses, is silent and is gone', async () => {
      expect(await probe()).toMatchObject({ state: 'up', models: ['coder'] })
      engine.behave({ apiKey: 'another' })
      expect(await probe()).toMatchObject({
        state: 'failed',
        why: expect.stringContaining('credentials') as string,
      })
      engine.behave({ apiKey: null, hangHealth: true })
      expect(await probe(AbortSignal.timeout(50))).toMatchObject({
        state: 'failed',
        why: expect.stringContaining('does not answer GET /') as string,
      })
      engine.behave({ hangHealth: false, loadingMs: 60_000 })
      expect(await probe()).toMatchObject({ state: traits.whileLoading })
      await engine.die()
      expect(await probe()).toMatchObject({
        state: 'failed',
        why: expect.stringMatching(/ECONNREFUSED|UND_ERR_SOCKET/) as string,
      })
    })

    test('the load moves with the work', async () => {
      const loadNow = async (): Promise<EngineLoad | null> => {
        const seen = await probe()
        return seen.state === 'up' ? seen.load : null
      }
      const idle = await loadNow()
      const told = Object.entries(idle ?? {}).filter(([, value]) => value !== null)
      expect(told.map(([name]) => name).toSorted()).toEqual([...traits.load].toSorted())

      engine.behave({ maxConcurrent: 1, stallAfter: 3 })
      const calls = [startCall(), startCall()]
      await engine.until(({ running, waiting }) => running === 1 && waiting === 1)
      await engine.until(({ generationTokens }) => generationTokens >= 3)
      const busy = await loadNow()
      if (traits.load.includes('running')) expect([idle?.running, busy?.running]).toEqual([0, 1])
      if (traits.load.includes('waiting')) expect([idle?.waiting, busy?.waiting]).toEqual([0, 1])
      if (traits.load.includes('kvUse')) expect(busy?.kvUse).toBeGreaterThan(idle?.kvUse ?? 1)
      if (traits.load.includes('promptTokens')) expect([idle?.promptTokens, busy?.promptTokens]).toEqual([0, 2])
      if (traits.load.includes('generatedTokens'))
        expect([idle?.generatedTokens, busy?.generatedTokens]).toEqual([0, 3])
      for (const call of calls) call.abort()
      await engine.until(({ aborted }) => aborted === 2)
    })

    test('a probe costs no inference, and an engine without metrics is up', async () => {
      engine.behave({ noMetrics: true })
      const asked: string[] = []
      const spied: Wire = { ...wire, get: (...args) => (asked.push(args[1]), wire.get(...args)) }
      expect(await dialect.probe(target(), spied, patience())).toMatchObject({ state: 'up' })
      expect(engine.state()).toMatchObject({ received: 0, generationTokens: 0 })
      expect(asked.filter(path => path.includes('generate'))).toEqual([])
      expect(asked.length).toBeLessThanOrEqual(4)
    })

    function startCall(): WireCall {
      const { path, body } = dialect.toRequest('chat/completions', { model: 'coder', messages, stream: true }, version)
      const request = { path, body: JSON.stringify(body), contentType: 'application/json', requestId: 'test' }
      return wire.post(target(), request, { head() {}, data: () => true, end() {}, failed() {} })
    }
  })

  describe('errors', () => {
    const fault = async (change: BehaviourChange, body: Record<string, unknown> = {}) => {
      engine.behave(change)
      const words = [{ role: 'user', content: 'one two three four five six seven eight nine' }]
      const request = dialect.toRequest('chat/completions', { model: 'coder', messages: words, ...body }, version)
      const { status, text } = await post(request)
      expect(status).toBeGreaterThanOrEqual(400)
      engine.reset()
      return dialect.toFault(status, text)
    }

    test('become faults that tell whose mistake it was', async () => {
      if (traits.refusesLong)
        expect(await fault({ contextLimit: 4 })).toEqual({ kind: 'context-exceeded', asked: 9, limit: 4 })
      expect(await fault({ status: 422 })).toMatchObject({ kind: 'engine-refused', status: 422 })
      expect(await fault({ status: 429 })).toMatchObject({ kind: 'not-ready' })
      expect(await fault({ status: 500 })).toMatchObject({ kind: 'engine-failed', status: 500 })
      if (traits.whileLoading !== 'up') expect(await fault({ loadingMs: 60_000 })).toMatchObject({ kind: 'not-ready' })
      const unauthorised = await fault({ apiKey: 'another' })
      expect(unauthorised).toMatchObject({ kind: 'engine-failed', status: 401 })
      expect(toHttp(unauthorised).body.error.message).toContain('credentials')
    })

    test.each(only(traits.knowsNames))(
      'name the setting that is wrong when the model has another name there',
      async () => {
        expect(await fault({}, { model: 'another' })).toMatchObject({
          kind: 'engine-failed',
          detail: expect.stringMatching(/'another'.*engine\.servedName/) as string,
        })
      },
    )

    test.each(only(traits.toolFlags))('name the flags that tools need', async () => {
      expect(await fault({ noAutoTools: true }, { tools: [tool('get')] })).toMatchObject({
        kind: 'engine-refused',
        message: expect.stringMatching(/engine\.flags.*tool-call-parser/) as string,
      })
    })
  })

  describe('answers', () => {
    const quirks = ['no-index', 'no-id', 'same-index', 'object-arguments', 'stop-finish', 'interleaved', null] as const

    test.each(quirks)('streams with tool calls come out right: %s', async toolQuirk => {
      engine.behave({ callTools: 2, toolQuirk })
      const chunks = await askStream({ tools: [tool('get'), tool('put')] })
      const choices = chunks.flatMap(chunk => chunk['choices'] as Choice[])
      const calls = joinCalls(choices.flatMap(({ delta }) => delta?.tool_calls ?? []))
      const args = '{"city":"word0"}'
      expect(calls.map(({ type, name, json }) => [type, name, json])).toEqual([
        ['function', 'get', args],
        ['function', 'put', args],
      ])
      expect(new Set(calls.map(({ id }) => id)).size).toBe(2)
      for (const { id } of calls) expect(id).toMatch(/^\S+$/)
      expect(choices.findLast(({ finish_reason: finish }) => typeof finish === 'string')?.finish_reason).toBe(
        'tool_calls',
      )
    })

    test.each(quirks)('whole answers with tool calls come out right: %s', async toolQuirk => {
      engine.behave({ callTools: 2, toolQuirk })
      const answer = await ask('chat/completions', { messages, tools: [tool('get'), tool('put')] })
      const [choice] = answer['choices'] as Choice[]
      const calls = choice?.message?.tool_calls ?? []
      expect(calls.map(({ type, function: called }) => [type, called?.name, called?.arguments])).toEqual([
        ['function', 'get', '{"city":"word0"}'],
        ['function', 'put', '{"city":"word0"}'],
      ])
      expect(new Set(calls.map(({ id }) => id)).size).toBe(2)
      expect(choice?.finish_reason).toBe('tool_calls')
    })

    describe.each(only(traits.handsText))('calls that the engine left in the text', () => {
      const tools = [tool('get'), tool('put')]
      const callOf = { get: ['get', { city: 'word0' }], put: ['put', { city: 'word0' }] }

      test.each(['hermes', 'qwen3-coder', 'llama', 'mistral'] as const)('are told as calls: %s', async toolText => {
        engine.behave({ callTools: 2, toolText })
        const choices = (await askStream({ tools })).flatMap(chunk => chunk['choices'] as Choice[])
        const calls = joinCalls(choices.flatMap(({ delta }) => delta?.tool_calls ?? []))
        expect(calls.map(({ name, json }) => [name, JSON.parse(json)])).toEqual([callOf.get, callOf.put])
        expect(new Set(calls.map(({ id }) => id)).size).toBe(2)
        expect(choices.map(({ delta }) => delta?.content ?? '').join('')).toBe('')
        expect(choices.at(-1)?.finish_reason).toBe('tool_calls')

        const [choice] = (await ask('chat/completions', { messages, tools }))['choices'] as Choice[]
        const whole = choice?.message?.tool_calls ?? []
        expect(whole.map(({ function: called }) => [called?.name, JSON.parse(called?.arguments ?? '')])).toEqual([
          callOf.get,
          callOf.put,
        ])
        expect([choice?.message?.content, choice?.finish_reason]).toEqual([null, 'tool_calls'])
      })

      test('text beside tools stays text, and without tools chunks pass unparsed', async () => {
        engine.behave({ tokens: 3 })
        const choices = (await askStream({ tools })).flatMap(chunk => chunk['choices'] as Choice[])
        expect(choices.map(({ delta }) => delta?.content ?? '').join('')).toBe('word0 word1 word2')
        expect(choices.at(-1)?.finish_reason).toBe('stop')
        const marksOf = (body: object) =>
          dialect.toRequest('chat/completions', { messages, ...body }, version).repair?.marks
        expect(marksOf({})).not.toContain('"content":"')
        expect(marksOf({ tools, tool_choice: 'none' })).not.toContain('"content":"')
        expect(marksOf({ tools })).toContain('"content":"')
      })
    })

    test('a tool that is asked for by name is called, and the answer ends so', async () => {
      const named = { tools: [tool('get')], tool_choice: { type: 'function', function: { name: 'get' } } }
      if (!traits.forcesTools) return expect(() => askStream(named)).rejects.toThrow(/forced.*is not supported/)
      const chunks = await askStream(named)
      const choices = chunks.flatMap(chunk => chunk['choices'] as Choice[])
      expect(joinCalls(choices.flatMap(({ delta }) => delta?.tool_calls ?? []))).toMatchObject([{ name: 'get' }])
      expect(choices.map(({ finish_reason: finish }) => finish)).toContain('tool_calls')
      const [choice] = (await ask('chat/completions', { messages, ...named }))['choices'] as Choice[]
      expect(choice?.finish_reason).toBe('tool_calls')
    })

    test.each(only(traits.reasoning))('thought stands under reasoning_content', async () => {
      engine.behave({ reasoning: 3, tokens: 2 })
      const chunks = await askStream({})
      const deltas = chunks.flatMap(chunk => chunk['choices'] as Choice[]).map(({ delta }) => delta)
      const said = (name: 'reasoning_content' | 'content') => deltas.map(delta => delta?.[name] ?? '').join('')
      expect([said('reasoning_content'), said('content')]).toEqual(['think0 think1 think2', 'word0 word1'])
      const [choice] = (await ask('chat/completions', { messages }))['choices'] as Choice[]
      expect(choice?.message).toMatchObject({ reasoning_content: 'think0 think1 think2', content: 'word0 word1' })
    })

    test('a stream without tools is what the engine sent, and ends with the usage', async () => {
      engine.behave({ tokens: 3 })
      const chunks = await askStream({})
      const choices = chunks.flatMap(chunk => chunk['choices'] as Choice[])
      expect(choices.map(({ delta }) => delta?.content ?? '').join('')).toBe('word0 word1 word2')
      expect(choices.at(-1)?.finish_reason).toBe('stop')
      expect(chunks.at(-1)).toMatchObject({
        choices: [],
        usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 },
      })
    })

    test.each(only(canDo('embeddings')))('embeddings come as numbers, or in base64 when asked', async () => {
      const vectors = async (format?: string) => {
        const body = { input: 'one', ...(format === undefined ? {} : { encoding_format: format }) }
        const [item] = (await ask('embeddings', body))['data'] as { embedding: unknown }[]
        return item?.embedding
      }
      const numbers = (await vectors('float')) as number[]
      expect(numbers).toHaveLength(8)
      const packed = (await vectors('base64')) as string
      expect(packed).toBeTypeOf('string')
      const bytes = Buffer.from(packed, 'base64')
      expect(numbers.map((_, index) => bytes.readFloatLE(index * 4))).toEqual(numbers.map(Math.fround))
    })

    test.each(only(canDo('rerank')))('rankings are sorted, cut and scored', async () => {
      const body = { query: 'red fox', documents: ['blue', 'a red fox', 'a fox'], top_n: 2, return_documents: true }
      expect(await ask('rerank', body)).toMatchObject({
        id: expect.any(String) as string,
        model: 'coder',
        results: [
          { index: 1, relevance_score: 1, document: { text: 'a red fox' } },
          { index: 2, relevance_score: 0.5, document: { text: 'a fox' } },
        ],
      })
    })

    test('tokens are counted', async () => {
      expect(await ask('tokenize', { prompt: 'one two three' })).toMatchObject({ count: 3 })
      const chat = dialect.toRequest('tokenize', { model: 'coder', messages }, version)
      if (traits.countsChats) return expect(chat.path).toMatch(/(tokenize|input_tokens)$/)
      expect(await ask('tokenize', { messages })).toEqual({ count: 2, tokens: null, max_model_len: null })
      expect(engine.state().generationTokens).toBeGreaterThan(0)
    })
  })

  describe('whatever an engine sends', () => {
    const body = fc.oneof(
      fc.string(),
      fc.json(),
      fc.jsonValue().map(value => JSON.stringify({ error: value })),
    )
    const asks: [EnginePath, Record<string, unknown>][] = [
      ['chat/completions', { messages }],
      ['completions', { prompt: 'Hi' }],
      ['embeddings', { input: 'Hi', encoding_format: 'base64' }],
      ['rerank', { query: 'a', documents: ['b'] }],
      ['tokenize', { prompt: 'Hi' }],
      ['tokenize', { messages }],
    ]

    test('an error is a fault, and nothing is thrown', () => {
      fc.assert(
        fc.property(fc.integer({ min: 300, max: 599 }), body, (status, text) => {
          const answer = toHttp(dialect.toFault(status, text))
          expect(Object.keys(answer.body.error).toSorted()).toEqual(['code', 'message', 'param', 'type'])
        }),
      )
      for (const text of ['', '<html>502</html>', '{', '[]', 'null', '{"error":null}', '{"message":7}'])
        expect(dialect.toFault(400, text).kind).toBeTypeOf('string')
    })

    test('an answer becomes an object, or a fault', () => {
      const fields = ['choices', 'delta', 'message', 'tool_calls', 'function', 'arguments', 'usage', 'results', 'data']
      const more = ['index', 'id', 'name', 'embedding', 'score', 'count', 'tokens', 'finish_reason', 'reasoning']
      const shape = fc.letrec<{ any: unknown }>(tie => ({
        any: fc.oneof(
          { depthSize: 'small' },
          fc.constantFrom(null, 0, -1, 1.5, true, '', 'stop', '{}', '{"a":1}'),
          fc.array(tie('any'), { maxLength: 3 }),
          fc.dictionary(fc.constantFrom(...fields, ...more), tie('any')),
        ),
      })).any
      for (const [path, asked] of asks.filter(([path]) => !traits.unsupported.includes(path)))
        fc.assert(
          fc.property(fc.array(fc.oneof(shape, fc.jsonValue()), { maxLength: 3 }), answers => {
            const { repair } = dialect.toRequest(path, { model: 'coder', ...asked }, version)
            for (const answer of answers) {
              for (const mend of [
                () => repair?.whole(answer) ?? {},
                () => repair?.chunk({ choices: [answer, { delta: answer }], usage: answer }) ?? {},
              ])
                expect(outcomeOf(mend)).toBe('object')
            }
          }),
          { numRuns: 50 },
        )
    })
  })

  /** A test for this kind, or none. */
  function only(here: boolean): EngineKind[] {
    return here ? [kind] : []
  }

  function canDo(path: EnginePath): boolean {
    return !traits.unsupported.includes(path) && traits.newer?.includes(path) !== true
  }
})

type ToldCall = { index?: number; id?: string; type?: string; function?: { name?: string; arguments?: string } }
type Said = { content?: string | null; reasoning_content?: string | null; tool_calls?: ToldCall[] | null }
type Choice = { delta?: Said; message?: Said; finish_reason?: string | null }

/** As OpenAI's own client does: by index, texts joined. */
function joinCalls(told: readonly ToldCall[]): { id: string; type: string; name: string; json: string }[] {
  const calls: { id: string; type: string; name: string; json: string }[] = []
  for (const { index, id = '', type, function: called } of told) {
    expect(index).toBeTypeOf('number')
    const call = calls[index ?? 0] ?? { id: '', type: '', name: '', json: '' }
    const { name = '', arguments: json = '' } = called ?? {}
    calls[index ?? 0] = { id: call.id + id, type: type ?? call.type, name: call.name + name, json: call.json + json }
  }
  return calls
}

function outcomeOf(mend: () => unknown): string {
  try {
    return typeof mend()
  } catch (error) {
    return error instanceof FaultError ? 'object' : String(error)
  }
}
