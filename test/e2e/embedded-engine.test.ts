/** The embedded engine as a process, with the real smoke model, over its socket: one engine for the whole suite. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'holdfast-engine-'))
const version = 'dev-v1.0-smoke-2m-q8-0-p0'
const context = 512
const sequences = 8

// A file, not `-e`: node-llama-cpp tries its binary in a process of its own, started with the same flags.
const runner = join(folder, 'engine.ts')
writeFileSync(
  runner,
  `import { runEngine } from ${JSON.stringify(join(root, 'src/apps/engine.ts'))}\nawait runEngine()\n`,
)

const engine = startEngine('main')

type Started = { child: ChildProcess; socket: string; log: () => string }

function startEngine(name: string, { parent, gguf }: { parent?: string; gguf?: string } = {}): Started {
  const socket = join(folder, `${name}.sock`)
  const assignment = {
    replica: `${version}/0`,
    version,
    digest: 'x',
    socket,
    context,
    sequences,
    threads: null,
    gguf: gguf ?? join(root, 'weights/smoke/smoke.gguf'),
  }
  const child = spawn(join(root, 'bin/node24'), [runner], {
    env: {
      ...process.env,
      HOLDFAST_ENGINE: JSON.stringify(assignment),
      HOLDFAST_PARENT_SOCKET: parent ?? '',
      HOLDFAST_LOG_LEVEL: 'debug',
    },
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  let log = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (log += text))
  return { child, socket, log: () => log }
}

async function stopEngine({ child }: Started, signal: NodeJS.Signals = 'SIGTERM'): Promise<unknown> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const exited = once(child, 'exit')
  child.kill(signal)
  return (await exited)[0]
}

type Answer = { status: number; headers: IncomingMessage['headers']; text: string }

function ask(
  method: string,
  path: string,
  { body, socket = engine.socket }: { body?: unknown; socket?: string } = {},
): Promise<Answer> {
  const { promise, resolve: done, reject } = Promise.withResolvers<Answer>()
  const request = httpRequest(
    { socketPath: socket, method, path, headers: { 'content-type': 'application/json' } },
    response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => done({ status: response.statusCode ?? 0, headers: response.headers, text }))
      response.on('error', reject)
    },
  )
  request.on('error', reject)
  request.end(typeof body === 'string' ? body : JSON.stringify(body))
  return promise
}

/** Starts a request and answers once its first bytes are there; the test ends it. */
async function begin(path: string, body: unknown): Promise<ClientRequest> {
  const request = httpRequest({ socketPath: engine.socket, method: 'POST', path, agent: false })
  request.on('error', () => {})
  request.end(JSON.stringify(body))
  const [response] = await once(request, 'response')
  await once(response, 'data')
  return request
}

/** Asks again until it holds: what a process does has no event here. */
async function until(what: () => Promise<boolean>, withinMs = 20_000): Promise<number> {
  const start = performance.now()
  while (!(await what())) {
    if (performance.now() - start > withinMs) throw new Error(`not within ${withinMs} ms`)
    await delay(5)
  }
  return performance.now() - start
}

const Usage = z.object({ prompt_tokens: z.number(), completion_tokens: z.number(), total_tokens: z.number() })
const ToolCalls = z.array(
  z.object({
    id: z.string(),
    type: z.literal('function'),
    function: z.object({ name: z.string(), arguments: z.string() }),
  }),
)
const Chat = z.object({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: z.number(),
  model: z.string(),
  choices: z.tuple([
    z.object({
      index: z.literal(0),
      message: z.object({
        role: z.literal('assistant'),
        content: z.string().nullable(),
        tool_calls: ToolCalls.optional(),
      }),
      finish_reason: z.enum(['stop', 'length', 'tool_calls']),
    }),
  ]),
  usage: Usage,
})
const Chunk = z.object({
  object: z.string(),
  model: z.string(),
  choices: z.array(
    z.object({
      delta: z.object({
        role: z.string().optional(),
        content: z.string().optional(),
        tool_calls: z
          .array(
            z.object({
              index: z.number(),
              id: z.string().optional(),
              function: z.object({ name: z.string().optional(), arguments: z.string() }),
            }),
          )
          .optional(),
      }),
      finish_reason: z.string().nullable(),
    }),
  ),
  usage: Usage.nullish(),
})
const Refusal = z.object({
  error: z.strictObject({ message: z.string(), type: z.string(), param: z.string().nullable(), code: z.string() }),
})

const hello = [{ role: 'user', content: 'Hello!' }]
const story = [{ role: 'user', content: 'Tell me a story about a cat.' }]

async function chat(
  body: object,
): Promise<{ text: string; finish: string; usage: z.output<typeof Usage>; calls: z.output<typeof ToolCalls> }> {
  const answer = await ask('POST', '/v1/chat/completions', {
    body: { model: 'smoke', messages: hello, temperature: 0, ...body },
  })
  if (answer.status !== 200) throw new Error(`HTTP ${answer.status}: ${answer.text}`)
  const {
    choices: [choice],
    usage,
  } = Chat.parse(JSON.parse(answer.text))
  return {
    text: choice.message.content ?? '',
    finish: choice.finish_reason,
    usage,
    calls: choice.message.tool_calls ?? [],
  }
}

async function stream(
  body: object,
): Promise<{ answer: Answer; chunks: z.output<typeof Chunk>[]; ended: string | undefined }> {
  const answer = await ask('POST', '/v1/chat/completions', {
    body: { model: 'smoke', messages: hello, temperature: 0, stream: true, ...body },
  })
  const events = answer.text.split('\n\n').filter(event => event !== '')
  const chunks = events
    .filter(event => event !== 'data: [DONE]')
    .map(event => Chunk.parse(JSON.parse(event.slice('data: '.length))))
  return { answer, chunks, ended: events.at(-1) }
}

async function refused(
  body: unknown,
  path = '/v1/chat/completions',
): Promise<{ status: number; code: string; param: string | null; message: string }> {
  const answer = await ask('POST', path, { body })
  const { error } = Refusal.parse(JSON.parse(answer.text))
  return { status: answer.status, code: error.code, param: error.param, message: error.message }
}

async function metric(name: string): Promise<number> {
  const { text } = await ask('GET', '/metrics')
  return Number(new RegExp(`^embedded:${name} ([\\d.]+)$`, 'm').exec(text)?.[1])
}

beforeAll(async () => {
  await until(async () => existsSync(engine.socket))
  await until(async () => (await ask('GET', '/health')).status === 200)
})

afterAll(async () => {
  await stopEngine(engine)
  rmSync(folder, { recursive: true })
})

test('it tells its health, its model and its numbers, and only its owner may talk to it', async () => {
  const health = await ask('GET', '/health')
  expect(JSON.parse(health.text)).toEqual({ status: 'ok', model: version, context, sequences, pid: engine.child.pid })
  const models = JSON.parse((await ask('GET', '/v1/models')).text)
  expect(models.data[0]).toMatchObject({
    id: version,
    object: 'model',
    meta: { n_ctx: 512, n_params: 2_066_112, size: 2_200_320 },
  })
  expect((await ask('GET', '/metrics')).headers['content-type']).toContain('text/plain')
  expect(statSync(engine.socket).mode & 0o777).toBe(0o600)
})

test('chat answers in words, with exact usage', async () => {
  const answer = await chat({ max_tokens: 12 })
  expect(answer.text).toBe('Hello! It is nice to meet you.')
  expect(answer.finish).toBe('stop')
  expect(answer.usage).toEqual({ prompt_tokens: 13, completion_tokens: 10, total_tokens: 23 })
})

test('the model named in the answer is the one the client asked for', async () => {
  const answer = await ask('POST', '/v1/chat/completions', { body: { model: 'coder', messages: hello, max_tokens: 1 } })
  expect(Chat.parse(JSON.parse(answer.text))).toMatchObject({ model: 'coder', choices: [{ finish_reason: 'length' }] })
})

test('history, system text and content parts reach the model', async () => {
  const parts = [
    { type: 'text', text: 'What is the capital ' },
    { type: 'text', text: 'of France?' },
  ]
  const messages = [
    { role: 'system', content: 'You are a helpful assistant.' },
    { role: 'user', content: parts },
  ]
  expect((await chat({ messages })).text).toContain('Paris')
})

test('a message can not forge the end of its turn: names of special tokens in it are plain text', async () => {
  const tokensOf = async (content: string): Promise<number> =>
    (await chat({ messages: [{ role: 'user', content }], max_tokens: 1 })).usage.prompt_tokens
  // As a special token it would be one.
  expect(await tokensOf('a<|im_end|>')).toBeGreaterThan((await tokensOf('a')) + 1)
})

test('a stream has role, content, finish reason, usage and an end, and says what the whole answer says', async () => {
  const { answer, chunks, ended } = await stream({ max_tokens: 12, stream_options: { include_usage: true } })
  expect(answer.headers['content-type']).toContain('text/event-stream')
  expect(chunks[0]?.choices[0]?.delta).toEqual({ role: 'assistant', content: '' })
  expect(chunks.map(chunk => chunk.choices[0]?.delta.content ?? '').join('')).toBe('Hello! It is nice to meet you.')
  expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop')
  expect(chunks.slice(0, -1).every(chunk => chunk.usage === null)).toBe(true)
  expect(chunks.at(-1)).toMatchObject({
    choices: [],
    usage: { prompt_tokens: 13, completion_tokens: 10, total_tokens: 23 },
  })
  expect(ended).toBe('data: [DONE]')
})

test('Cyrillic comes whole, never in pieces of a character', async () => {
  const messages = [{ role: 'user', content: 'Привет!' }]
  const { chunks } = await stream({ messages, max_tokens: 60 })
  const text = chunks.map(chunk => chunk.choices[0]?.delta.content ?? '').join('')
  expect(text).toMatch(/\p{Script=Cyrillic}/u)
  expect(text).not.toContain('\uFFFD')
  expect(text).toBe((await chat({ messages, max_tokens: 60 })).text)
})

test('the same seed gives the same text, another seed another', async () => {
  const asked = { messages: story, temperature: 1.5, max_tokens: 60 }
  const [first, again, other] = [
    await chat({ ...asked, seed: 7 }),
    await chat({ ...asked, seed: 7 }),
    await chat({ ...asked, seed: 8 }),
  ]
  expect(again.text).toBe(first.text)
  expect(other.text).not.toBe(first.text)
})

test('a stop string ends the answer before it, whole and streamed', async () => {
  const stopped = await chat({ stop: ['nice to', 'never'] })
  expect(stopped).toMatchObject({ text: 'Hello! It is ', finish: 'stop' })
  const { chunks } = await stream({ stop: 'nice to' })
  expect(chunks.map(chunk => chunk.choices[0]?.delta.content ?? '').join('')).toBe('Hello! It is ')
})

test('penalties are taken', async () => {
  const counting = { messages: [{ role: 'user', content: 'Count to ten.' }], max_tokens: 60 }
  expect((await chat(counting)).text).toContain('7, 8, 9')
  expect((await chat({ ...counting, frequency_penalty: 2 })).text).not.toContain('7, 8, 9')
})

test('an answer by schema parses and holds it, from a weak model and for any seed', async () => {
  const schema = {
    type: 'object',
    properties: {
      name: { type: 'string' },
      age: { type: 'integer', minimum: 0, maximum: 120 },
      tags: { type: 'array', items: { enum: ['red', 'green'] }, maxItems: 3 },
      note: { anyOf: [{ type: 'string', maxLength: 10 }, { type: 'null' }] },
    },
    required: ['name', 'age', 'tags', 'note'],
    additionalProperties: false,
  }
  const Person = z.strictObject({
    name: z.string(),
    age: z.int().min(0).max(120),
    tags: z.array(z.enum(['red', 'green'])).max(3),
    note: z.string().max(10).nullable(),
  })
  let whole = 0
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    const { text, finish } = await chat({
      seed,
      temperature: 1.2,
      response_format: { type: 'json_schema', json_schema: { name: 'person', schema, strict: true } },
    })
    if (finish !== 'stop') continue
    whole++
    expect(Person.safeParse(JSON.parse(text)).error).toBeUndefined()
  }
  expect(whole).toBeGreaterThanOrEqual(4)
})

test('json_object gives an object', async () => {
  const { text, finish } = await chat({
    messages: [{ role: 'user', content: 'Return JSON for Anna, age 30, city Paris.' }],
    response_format: { type: 'json_object' },
  })
  expect(finish).toBe('stop')
  expect(JSON.parse(text)).toBeTypeOf('object')
})

test('a schema that can not be held is refused by name', async () => {
  const schema = { type: 'object', properties: { id: { type: 'string', pattern: '^a+$' } } }
  const refusal = await refused({
    messages: hello,
    response_format: { type: 'json_schema', json_schema: { name: 'x', schema } },
  })
  expect(refusal).toMatchObject({ status: 400, code: 'unsupported', message: expect.stringContaining("'pattern'") })
})

test('llama.cpp takes the grammar of every kind of schema', async () => {
  const schemas = [
    { type: 'object' },
    { type: 'array' },
    {},
    { type: 'string', minLength: 3, maxLength: 5000 },
    { type: 'number', minimum: -3, maximum: 9 },
    { type: 'integer', minimum: -1234, maximum: 98_765 },
    { type: 'string', format: 'date-time' },
    { enum: ['"', '\\', 'ж', 1, null] },
    { type: 'object', additionalProperties: { type: 'integer' } },
    { type: 'array', items: { type: ['string', 'null'] }, minItems: 2 },
    {
      $ref: '#/$defs/n',
      $defs: { n: { type: 'object', properties: { n: { anyOf: [{ $ref: '#/$defs/n' }, { type: 'null' }] } } } },
    },
  ]
  for (const schema of schemas)
    await chat({ max_tokens: 3, response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } })
})

const tools = [
  {
    type: 'function',
    function: {
      name: 'set',
      parameters: { type: 'object', properties: { on: { type: 'boolean' } }, required: ['on'] },
    },
  },
  {
    type: 'function',
    function: {
      name: 'wait',
      parameters: {
        type: 'object',
        properties: { seconds: { type: 'integer', minimum: 1, maximum: 60 } },
        required: ['seconds'],
      },
    },
  },
]

test('a named tool is called, with arguments by its schema', async () => {
  const { calls, finish, text } = await chat({ tools, tool_choice: { type: 'function', function: { name: 'wait' } } })
  expect(finish).toBe('tool_calls')
  expect(text).toBe('')
  expect(calls[0]?.id).toMatch(/^call-/)
  expect(calls[0]?.function.name).toBe('wait')
  z.strictObject({ seconds: z.int().min(1).max(60) }).parse(JSON.parse(calls[0]?.function.arguments ?? ''))
})

test('a required tool call streams as deltas', async () => {
  const { chunks } = await stream({ tools, tool_choice: 'required', temperature: 1, seed: 3 })
  const deltas = chunks.flatMap(chunk => chunk.choices[0]?.delta.tool_calls ?? [])
  expect(deltas[0]).toMatchObject({
    index: 0,
    id: expect.any(String),
    function: { name: expect.stringMatching(/^(set|wait)$/), arguments: '' },
  })
  expect(JSON.parse(deltas.map(delta => delta.function.arguments).join(''))).toBeTypeOf('object')
  expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('tool_calls')
})

test('tools that may be called are told to the model, and an answer in words stays text', async () => {
  const plain = await chat({ max_tokens: 12 })
  const none = await chat({ tools, tool_choice: 'none', max_tokens: 12 })
  expect(none).toEqual(plain)
  const auto = await chat({ tools, tool_choice: 'auto', max_tokens: 12 })
  expect(auto.usage.prompt_tokens).toBeGreaterThan(plain.usage.prompt_tokens + 40)
  expect((await chat({ tools, max_tokens: 12 })).usage).toEqual(auto.usage)
  expect([auto.calls, auto.text.length > 0]).toEqual([[], true])
  const { chunks } = await stream({ tools, tool_choice: 'auto', max_tokens: 12 })
  expect(chunks.map(chunk => chunk.choices[0]?.delta.content ?? '').join('')).toBe(auto.text)
})

test('a call that the model writes by itself is told as one, whole and streamed', async () => {
  // A grammar stands in for a model that was taught tools: it writes what such a model does.
  const schema = {
    type: 'object',
    properties: {
      name: { const: 'wait' },
      arguments: {
        type: 'object',
        properties: { seconds: { type: 'integer', minimum: 1, maximum: 9 } },
        required: ['seconds'],
      },
    },
    required: ['name', 'arguments'],
  }
  const body = { tools, response_format: { type: 'json_schema', json_schema: { name: 'call', schema } } }
  const { calls, finish, text } = await chat(body)
  expect([text, finish, calls.map(call => call.function.name)]).toEqual(['', 'tool_calls', ['wait']])
  expect(JSON.parse(calls[0]?.function.arguments ?? '')).toEqual({ seconds: expect.any(Number) as number })
  const { chunks } = await stream(body)
  expect(chunks.flatMap(chunk => chunk.choices[0]?.delta.tool_calls ?? [])).toMatchObject([
    { index: 0, id: expect.stringMatching(/^call-/) as string, function: calls[0]?.function },
  ])
  expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('tool_calls')
  expect((await chat({ ...body, tools: undefined })).finish).toBe('stop')
})

test('several answers to one request, whole and streamed, its prompt counted once', async () => {
  const several = { messages: hello, model: 'smoke', n: 3, max_tokens: 6, temperature: 1, seed: 5 }
  const Several = z.object({
    choices: z.array(z.object({ index: z.number(), message: z.object({ content: z.string() }) })).length(3),
    usage: Usage,
  })
  const whole = Several.parse(JSON.parse((await ask('POST', '/v1/chat/completions', { body: several })).text))
  expect(whole.choices.map(choice => choice.index)).toEqual([0, 1, 2])
  expect(whole.usage.prompt_tokens).toBe((await chat({ max_tokens: 1 })).usage.prompt_tokens)
  // As if asked one by one with the seeds that follow.
  expect((await chat({ ...several, n: 1, seed: 7 })).text).toBe(whole.choices[2]?.message.content)
  const streamed = (await ask('POST', '/v1/chat/completions', { body: { ...several, stream: true } })).text
  const Piece = z.object({
    choices: z.array(z.object({ index: z.number(), delta: z.object({ content: z.string().optional() }) })),
  })
  const pieces = streamed
    .split('\n\n')
    .filter(event => event.startsWith('data: {'))
    .flatMap(event => Piece.parse(JSON.parse(event.slice(6))).choices)
  expect(
    [0, 1, 2].map(at => pieces.map(piece => (piece.index === at ? (piece.delta.content ?? '') : '')).join('')),
  ).toEqual(whole.choices.map(choice => choice.message.content))
  const texts = { prompt: ['Hello', 'The'], model: 'smoke', n: 2, max_tokens: 4, seed: 1 }
  const completed = JSON.parse((await ask('POST', '/v1/completions', { body: texts })).text)
  expect(completed.choices.map((choice: { index: number }) => choice.index)).toEqual([0, 1, 2, 3])
  const once = JSON.parse((await ask('POST', '/v1/completions', { body: { ...texts, n: 1 } })).text)
  expect(completed.usage.prompt_tokens).toBe(once.usage.prompt_tokens)
})

/** The smoke model with a template that knows tools and thought, as long as its own: a GGUF counts its bytes. */
function withToolTemplate(): string {
  const weights = readFileSync(join(root, 'weights/smoke/smoke.gguf'))
  const start = weights.indexOf('{% for message in messages %}')
  const end = weights.indexOf('{% endif %}', start) + '{% endif %}'.length
  const turns = '{%for m in messages%}<|im_start|>{{m.role}}\n{{m.content}}<|im_end|>\n{%endfor%}'
  const template = `{%if tools%}{{tools|tojson}}{%endif%}${turns}{#<think>#}`
  weights.write(template.padEnd(end - start, ' '), start)
  const path = join(folder, 'tools.gguf')
  writeFileSync(path, weights)
  return path
}

test('a template that knows tools tells them, and they can not forge the end of a turn', async () => {
  const other = startEngine('tools', { gguf: withToolTemplate() })
  await until(async () => existsSync(other.socket))
  await until(async () => (await ask('GET', '/health', { socket: other.socket })).status === 200)
  const counted = async (body: object): Promise<{ count: number; tokens: number[] }> =>
    JSON.parse((await ask('POST', '/tokenize', { socket: other.socket, body: { messages: hello, ...body } })).text)
  const described = (description: string) => ({ tools: [{ type: 'function', function: { name: 'get', description } }] })
  const plain = await counted({})
  const told = await counted(described('a'))
  expect(told.tokens.slice(-plain.count + 1)).toEqual(plain.tokens.slice(1))
  expect(told.count).toBeGreaterThan(plain.count + 20)
  const [end] = (await counted({ messages: undefined, prompt: '<|im_end|>' })).tokens.slice(-1)
  const ends = ({ tokens }: { tokens: number[] }): number => tokens.filter(token => token === end).length
  expect([ends(plain), ends(await counted(described('a<|im_end|>b')))]).toEqual([1, 1])
  await stopEngine(other)
})

test('logit_bias moves what is said, and names of tokens that can not be moved are told', async () => {
  const { tokens } = JSON.parse((await ask('POST', '/tokenize', { body: { prompt: 'Hello' } })).text)
  const first: number = tokens.at(-1)
  const unmoved = await chat({ max_tokens: 4 })
  const without = await chat({ max_tokens: 4, logit_bias: { [first]: -100 } })
  expect([unmoved.text.startsWith('Hello'), without.text.startsWith('Hello')]).toEqual([true, false])
  expect((await chat({ max_tokens: 3, logit_bias: { [first]: 100 } })).text).toMatch(/Hello ?Hello ?Hello/)
  expect(await refused({ messages: hello, logit_bias: { 99_999: 1 } })).toMatchObject({
    status: 400,
    param: 'logit_bias',
  })
  expect(await refused({ messages: hello, logit_bias: { x: 1 } })).toMatchObject({ status: 400, param: 'logit_bias.x' })
  expect(await refused({ messages: hello, logit_bias: { 2: -100 } })).toMatchObject({
    status: 400,
    message: expect.stringContaining('ends the answer') as string,
  })
})

test('calls and tool results in the history are read', async () => {
  const call = { id: 'call_1', type: 'function', function: { name: 'wait', arguments: '{"seconds":2}' } }
  const messages = [
    ...hello,
    { role: 'assistant', content: null, tool_calls: [call] },
    { role: 'tool', tool_call_id: 'call_1', content: 'done' },
  ]
  expect((await chat({ messages, tools, max_tokens: 20 })).usage.prompt_tokens).toBeGreaterThan(40)
})

test('completions go on from text, tokens and several prompts at once', async () => {
  const body = { model: 'smoke', max_tokens: 8, temperature: 0 }
  const one = JSON.parse((await ask('POST', '/v1/completions', { body: { ...body, prompt: 'Hello' } })).text)
  expect(one).toMatchObject({
    object: 'text_completion',
    choices: [{ index: 0, finish_reason: 'length' }],
    usage: { prompt_tokens: 2, completion_tokens: 8 },
  })
  const many = JSON.parse(
    (await ask('POST', '/v1/completions', { body: { ...body, prompt: ['Hello', [1, 485]] } })).text,
  )
  expect(many.choices.map((choice: { text: string }) => choice.text)).toEqual([
    one.choices[0].text,
    one.choices[0].text,
  ])
  const streamed = await ask('POST', '/v1/completions', { body: { ...body, prompt: 'Hello', stream: true } })
  const texts = streamed.text
    .split('\n\n')
    .filter(event => event.startsWith('data: {'))
    .map(event => JSON.parse(event.slice(6)).choices[0].text)
  expect(texts.join('')).toBe(one.choices[0].text)
  expect(streamed.text.endsWith('data: [DONE]\n\n')).toBe(true)
})

test('embeddings are unit vectors, alike in both encodings', async () => {
  const floats = JSON.parse(
    (await ask('POST', '/v1/embeddings', { body: { model: 'smoke', input: ['Hello', 'What is JSON?'] } })).text,
  )
  expect(floats).toMatchObject({ object: 'list', model: 'smoke', usage: { prompt_tokens: expect.any(Number) } })
  const [hi, json] = floats.data.map((entry: { embedding: number[] }) => entry.embedding)
  expect(hi).toHaveLength(192)
  expect(Math.hypot(...hi)).toBeCloseTo(1, 5)
  expect(json).not.toEqual(hi)
  const packed = JSON.parse(
    (await ask('POST', '/v1/embeddings', { body: { model: 'smoke', input: 'Hello', encoding_format: 'base64' } })).text,
  )
  const bytes = Buffer.from(packed.data[0].embedding, 'base64')
  expect(bytes.readFloatLE(4)).toBeCloseTo(hi[1], 5)
  expect(await refused({ input: 'a', dimensions: 8 }, '/v1/embeddings')).toMatchObject({
    status: 400,
    code: 'unsupported',
  })
  expect(await refused({ input: 'hello '.repeat(600) }, '/v1/embeddings')).toMatchObject({
    status: 400,
    code: 'context_length_exceeded',
  })
})

test('tokens are counted as they would be answered, of a prompt and of a conversation', async () => {
  const Counted = z.object({ count: z.int(), tokens: z.array(z.int()), max_model_len: z.literal(context) })
  const counted = async (body: unknown) => Counted.parse(JSON.parse((await ask('POST', '/tokenize', { body })).text))
  const { count, tokens } = await counted({ prompt: 'The cat' })
  expect(tokens).toHaveLength(count)
  const used = async (path: string, body: object) =>
    z
      .looseObject({ usage: Usage })
      .parse(JSON.parse((await ask('POST', path, { body: { ...body, max_tokens: 1 } })).text)).usage
  expect(count).toBe((await used('/v1/completions', { prompt: 'The cat' })).prompt_tokens)
  expect((await used('/v1/completions', { prompt: tokens })).prompt_tokens).toBe(count)
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hello' },
  ]
  expect((await counted({ messages, tools })).count).toBe(
    (await used('/v1/chat/completions', { messages, tools })).prompt_tokens,
  )
  expect((await counted({ messages })).count).toBe((await used('/v1/chat/completions', { messages })).prompt_tokens)
  expect((await ask('POST', '/tokenize', { body: {} })).status).toBe(400)
})

test('32 requests at once over 8 sequences all get the answer they would get alone', async () => {
  const questions = ['Who are you?', 'What is 2 + 2?', 'What is the capital of Japan?', 'Count to ten.']
  const alone = await Promise.all(
    questions.map(content => chat({ messages: [{ role: 'user', content }], max_tokens: 40 })),
  )
  const all = await Promise.all(
    Array.from({ length: 32 }, (_, index) =>
      chat({ messages: [{ role: 'user', content: questions[index % 4] }], max_tokens: 40 }),
    ),
  )
  expect(all.map(answer => answer.text)).toEqual(Array.from({ length: 32 }, (_, index) => alone[index % 4]?.text))
  expect(await metric('requests_running')).toBe(0)
})

/** Goes on to the end of its context: the grammar lets no end token through before. */
const endless = {
  model: 'smoke',
  messages: hello,
  temperature: 1,
  stream: true,
  max_tokens: 480,
  response_format: {
    type: 'json_schema',
    json_schema: {
      name: 'long',
      schema: { type: 'array', items: { type: 'integer', minimum: 100_000_000 }, minItems: 400 },
    },
  },
}

test('a client that leaves frees its sequence within 200 ms', async () => {
  const aborted = await metric('aborted_total')
  const leaving = await begin('/v1/chat/completions', endless)
  expect(await metric('requests_running')).toBe(1)
  expect(await metric('kv_cache_usage_ratio')).toBeGreaterThan(0)
  leaving.destroy()
  expect(await until(async () => (await metric('requests_running')) === 0)).toBeLessThan(200)
  expect(await metric('aborted_total')).toBe(aborted + 1)
  expect(await metric('kv_cache_usage_ratio')).toBe(0)
})

test('a client that leaves disturbs no other', async () => {
  const leaving = await begin('/v1/chat/completions', endless)
  const staying = chat({ messages: story, max_tokens: 60 })
  await until(async () => (await metric('requests_running')) === 2)
  leaving.destroy()
  expect((await staying).text).toBe((await chat({ messages: story, max_tokens: 60 })).text)
})

test('a client that leaves while it waits leaves the queue', async () => {
  const holding = await Promise.all(Array.from({ length: sequences }, () => begin('/v1/chat/completions', endless)))
  const waiting = httpRequest({ socketPath: engine.socket, method: 'POST', path: '/v1/chat/completions', agent: false })
  waiting.on('error', () => {})
  waiting.end(JSON.stringify({ model: 'smoke', messages: hello }))
  await until(async () => (await metric('requests_waiting')) === 1)
  waiting.destroy()
  await until(async () => (await metric('requests_waiting')) === 0)
  expect(await metric('requests_running')).toBe(sequences)
  for (const request of holding) request.destroy()
  await until(async () => (await metric('requests_running')) === 0)
})

test('what does not fit the context is refused with both numbers, and nothing is cut', async () => {
  const long = [{ role: 'user', content: 'hello '.repeat(600) }]
  const refusal = await refused({ messages: long })
  expect(refusal).toMatchObject({
    status: 400,
    code: 'context_length_exceeded',
    message: expect.stringContaining('512'),
  })
  expect(await refused({ messages: hello, max_tokens: 500 })).toMatchObject({
    status: 400,
    message: expect.stringMatching(/513.*512/),
  })
  expect(await refused({ prompt: 'hello '.repeat(600) }, '/v1/completions')).toMatchObject({
    status: 400,
    code: 'context_length_exceeded',
  })
  const edge = await chat({ ...endless, stream: false, max_tokens: 499 })
  expect(edge).toMatchObject({ finish: 'length', usage: { total_tokens: 512 } })
})

test('bad input is refused with all four keys and the name of what is wrong', async () => {
  expect(await refused('{"model":')).toMatchObject({ status: 400, code: 'invalid_json' })
  expect(await refused({})).toMatchObject({ status: 400, code: 'invalid_value', param: 'messages' })
  expect(await refused({ messages: hello, temperature: 'hot' })).toMatchObject({ status: 400, param: 'temperature' })
  expect(await refused({ messages: [{ role: 'robot', content: 'x' }] })).toMatchObject({
    status: 400,
    param: 'messages[0].role',
  })
  expect(await refused({ messages: hello, n: 0 })).toMatchObject({ status: 400, param: 'n' })
  expect(await refused({ prompt: ['a', 'b'], n: 100 }, '/v1/completions')).toMatchObject({ status: 400, param: 'n' })
  expect(await refused({ prompt: 'a', suffix: 'b' }, '/v1/completions')).toMatchObject({
    status: 400,
    message: expect.stringContaining('no tokens for filling in the middle') as string,
  })
  expect(await refused({ messages: hello, logprobs: true })).toMatchObject({ status: 400, code: 'unsupported' })
  expect(await refused({ messages: hello, tool_choice: 'required' })).toMatchObject({
    status: 400,
    param: 'tool_choice',
  })
  expect(
    await refused({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:' } }] }] }),
  ).toMatchObject({ status: 400, code: 'unsupported' })
  expect(await refused({ prompt: [1, 99_999] }, '/v1/completions')).toMatchObject({ status: 400, param: 'prompt' })
  expect(await refused({ prompt: 'x', echo: true }, '/v1/completions')).toMatchObject({
    status: 400,
    code: 'unsupported',
  })
  expect(await refused({}, '/v1/nothing')).toMatchObject({ status: 404, code: 'route_not_found' })
  expect((await ask('GET', '/v1/chat/completions')).status).toBe(405)
})

test('its log holds no prompt and no answer', async () => {
  await chat({ messages: [{ role: 'user', content: 'xyzzy-prompt' }], max_tokens: 5 })
  await refused({ messages: [{ role: 'user', content: 'xyzzy-prompt' }], echo: true })
  expect(engine.log()).not.toContain('xyzzy')
  expect(engine.log()).not.toContain('nice to meet')
})

test('it is there before its weights are, and finishes what runs when it is told to stop', async () => {
  const second = startEngine('second')
  await until(async () => existsSync(second.socket))
  const early = await ask('POST', '/v1/chat/completions', { socket: second.socket, body: { messages: hello } })
  expect(early.status).toBe(503)
  expect(early.headers['retry-after']).toBe('1')
  expect(Refusal.parse(JSON.parse(early.text)).error.code).toBe('not_ready')
  expect(await ask('GET', '/health', { socket: second.socket })).toMatchObject({
    status: 503,
    text: '{"status":"loading"}',
  })
  await until(async () => (await ask('GET', '/health', { socket: second.socket })).status === 200)

  const running = ask('POST', '/v1/chat/completions', {
    socket: second.socket,
    body: { ...endless, stream: false, max_tokens: 100 },
  })
  await until(async () => (await ask('GET', '/metrics', { socket: second.socket })).text.includes('requests_running 1'))
  expect(await stopEngine(second)).toBe(0)
  expect(existsSync(second.socket)).toBe(false)
  expect(Chat.parse(JSON.parse((await running).text)).usage.completion_tokens).toBe(100)
})

test('it takes over the socket of a killed engine, and ends when its parent does', async () => {
  const killed = startEngine('child')
  await until(async () => existsSync(killed.socket))
  await stopEngine(killed, 'SIGKILL')
  expect(existsSync(killed.socket)).toBe(true)

  const parent = createServer()
  const parentSocket = join(folder, 'parent.sock')
  parent.listen(parentSocket)
  await once(parent, 'listening')
  const joined = once(parent, 'connection')
  const child = startEngine('child', { parent: parentSocket })
  const [connection] = await joined
  await until(async () => (await ask('GET', '/health', { socket: child.socket }).catch(() => null))?.status === 200)
  const exited = once(child.child, 'exit')
  connection.destroy()
  expect((await exited)[0]).toBe(0)
  parent.close()
})

test('it ends with 1 and says why when its weights can not be read', async () => {
  const broken = startEngine('broken', { gguf: join(root, 'package.json') })
  expect((await once(broken.child, 'exit'))[0]).toBe(1)
  expect(broken.log()).toContain('could not run')
})
