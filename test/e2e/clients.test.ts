/** What people really connect with: official clients, the scripts they have, and the keys and teams behind them. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { startService, type Service } from '../support/service.ts'
import { pythonWithClient } from './python/environment.ts'

const python = pythonWithClient()
const run = promisify(execFile)

const Made = z.object({ key: z.string() })
const Pythons = z.object({
  chat: z.object({ text: z.string(), finish: z.string(), tokens: z.number() }),
  stream: z.object({ text: z.string(), tokens: z.number(), chunks: z.number() }),
  schema: z.unknown(),
  embeddings: z.object({ sizes: z.array(z.number()), distance: z.number() }),
  models: z.object({ list: z.array(z.string()), one: z.string() }),
  errors: z.array(z.object({ type: z.string(), status: z.number(), code: z.string(), message: z.string() })),
})
const Status = z.object({ engines: z.array(z.object({ socket: z.string() })) })
const Refusal = z.object({ error: z.object({ code: z.string(), message: z.string() }) })

const question = [{ role: 'user' as const, content: 'What is the capital of France?' }]
const answer = 'The capital of France is Paris.'
/** A schema that takes more tokens than there are, so the answer ends only when its client leaves. */
const endless = {
  type: 'object',
  properties: { list: { type: 'array', items: { enum: ['a', 'b'] }, minItems: 400 } },
  required: ['list'],
  additionalProperties: false,
}

let service: Service
let key: string
let keyWithoutModels: string
let client: OpenAI

beforeAll(async () => {
  service = await startService()
  key = await makeKey('--alias', 'clients')
  const made = await service.call('/key/generate', { key_alias: 'no-models', models: ['no-default-models'] })
  keyWithoutModels = Made.parse(await made.json()).key
  client = clientOf(key)
})
afterAll(async () => {
  await service?.stop()
})

describe('the official Node client', () => {
  test('chats', async () => {
    const chat = await client.chat.completions.create({ model: 'smoke', messages: question, temperature: 0 })
    expect(chat.choices[0]).toMatchObject({ finish_reason: 'stop', message: { role: 'assistant', content: answer } })
    expect(chat.usage).toEqual({ prompt_tokens: 20, completion_tokens: 12, total_tokens: 32 })
  })

  test('streams, and gets the usage at the end', async () => {
    const stream = await client.chat.completions.create({
      model: 'smoke',
      messages: question,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    })
    const pieces: string[] = []
    const usages: (number | undefined)[] = []
    for await (const { choices, usage } of stream) {
      pieces.push(choices[0]?.delta.content ?? '')
      usages.push(usage?.total_tokens)
    }
    expect(pieces.join('')).toBe(answer)
    expect(pieces.filter(piece => piece !== '').length).toBeGreaterThan(3)
    expect(usages.at(-1)).toBe(32)
  })

  test('gets an answer by a schema', async () => {
    const schema = {
      type: 'object',
      properties: { city: { enum: ['Paris', 'Oslo'] }, people: { type: 'integer', minimum: 1, maximum: 9 } },
      required: ['city', 'people'],
      additionalProperties: false,
    }
    const City = z.strictObject({ city: z.enum(['Paris', 'Oslo']), people: z.int().min(1).max(9) })
    const chat = await client.chat.completions.create({
      model: 'smoke',
      messages: question,
      temperature: 0,
      response_format: { type: 'json_schema', json_schema: { name: 'city', strict: true, schema } },
    })
    expect(City.safeParse(JSON.parse(chat.choices[0]?.message.content ?? '')).error).toBeUndefined()
  })

  test('gets an object when it asks for any', async () => {
    const chat = await client.chat.completions.create({
      model: 'smoke',
      messages: [{ role: 'user', content: 'Return JSON for Anna, age 30, city Paris.' }],
      temperature: 0,
      response_format: { type: 'json_object' },
    })
    expect(z.record(z.string(), z.unknown()).parse(JSON.parse(chat.choices[0]?.message.content ?? ''))).toBeDefined()
  })

  test('gets the call of the tool it named', async () => {
    const parameters = {
      type: 'object',
      properties: { city: { enum: ['Paris', 'Oslo'] } },
      required: ['city'],
      additionalProperties: false,
    }
    const chat = await client.chat.completions.create({
      model: 'smoke',
      messages: question,
      temperature: 0,
      tools: [{ type: 'function', function: { name: 'weather', parameters } }],
      tool_choice: { type: 'function', function: { name: 'weather' } },
    })
    const call = chat.choices[0]?.message.tool_calls?.[0]
    expect(chat.choices[0]?.finish_reason).toBe('tool_calls')
    expect(call?.type === 'function' && call.function.name).toBe('weather')
    const Arguments = z.strictObject({ city: z.enum(['Paris', 'Oslo']) })
    Arguments.parse(JSON.parse(call?.type === 'function' ? call.function.arguments : ''))
  })

  test('completes text', async () => {
    const completion = await client.completions.create({
      model: 'smoke',
      prompt: 'The cat',
      temperature: 0,
      max_tokens: 8,
    })
    expect(completion.choices[0]).toMatchObject({ finish_reason: 'length' })
    expect(completion.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 8 })
  })

  test('embeds, packed as it asks by itself and as plain numbers', async () => {
    const input = ['cat', 'dog']
    const packed = await client.embeddings.create({ model: 'smoke', input })
    const plain = await client.embeddings.create({ model: 'smoke', input, encoding_format: 'float' })
    expect(packed.data.map(({ embedding }) => embedding.length)).toEqual([192, 192])
    for (const [i, { embedding }] of plain.data.entries()) {
      embedding.forEach((value, at) => expect(packed.data[i]?.embedding[at]).toBeCloseTo(value, 5))
    }
    expect(packed.data[0]?.embedding).not.toEqual(packed.data[1]?.embedding)
  })

  test('lists models, and asks for one', async () => {
    const ids: string[] = []
    for await (const { id } of client.models.list()) ids.push(id)
    expect(ids).toEqual(['smoke'])
    expect(await client.models.retrieve('smoke')).toMatchObject({ id: 'smoke', object: 'model', owned_by: 'holdfast' })
  })

  test('throws its own exceptions, and each says what to do', async () => {
    const chat = { model: 'smoke', messages: question }
    const stranger = clientOf('sk-stranger-stranger-stranger')
    expect(await refused(stranger.models.list(), OpenAI.AuthenticationError)).toMatchObject({
      status: 401,
      code: 'invalid_api_key',
      message: expect.stringContaining('holdfast key create') as string,
    })
    const unknown = { status: 404, code: 'model_not_found', message: expect.stringContaining('smoke') as string }
    const asked = client.chat.completions.create({ ...chat, model: 'gpt-4o' })
    expect(await refused(asked, OpenAI.NotFoundError)).toMatchObject(unknown)
    expect(await refused(client.models.retrieve('gpt-4o'), OpenAI.NotFoundError)).toMatchObject(unknown)
    const forbidden = clientOf(keyWithoutModels).chat.completions.create(chat)
    expect(await refused(forbidden, OpenAI.PermissionDeniedError)).toMatchObject({
      status: 403,
      code: 'model_not_permitted',
    })
  })

  test('a request too long for the context is told both numbers', async () => {
    const tooLong = [
      client.chat.completions.create({ model: 'smoke', messages: question, max_tokens: 4000 }),
      client.chat.completions.create({
        model: 'smoke',
        messages: [{ role: 'user', content: 'word '.repeat(900) }],
      }),
    ]
    for (const asked of tooLong) {
      const { code, message } = await refused(asked, OpenAI.BadRequestError)
      expect(code).toBe('context_length_exceeded')
      const [needed, holds] = (message.match(/\d+/g) ?? []).slice(-2).map(Number)
      expect(holds).toBe(512)
      expect(needed).toBeGreaterThan(512)
    }
  })

  test('its AbortController, in mid-stream, stops the engine', async () => {
    const before = await engineMetric('aborted_total')
    const abort = new AbortController()
    const stream = await client.chat.completions.create(
      {
        model: 'smoke',
        messages: question,
        stream: true,
        response_format: { type: 'json_schema', json_schema: { name: 'endless', schema: endless } },
      },
      { signal: abort.signal },
    )
    let chunks = 0
    for await (const _ of stream) {
      chunks++
      if (chunks === 3) abort.abort()
    }
    // The chunks that were under way may still come; hundreds would mean that nobody heard.
    expect(chunks).toBeLessThan(100)
    await until(async () => (await engineMetric('requests_running')) === 0)
    expect(await engineMetric('aborted_total')).toBe(before + 1)
  })
})

describe('the official Python client', () => {
  test.skipIf(python === null)('chats, streams, embeds, lists models and throws its own exceptions', async () => {
    const { chat, stream, schema, embeddings, models, errors } = Pythons.parse(
      JSON.parse(await program(python ?? '', 'python/clients.py', { HOLDFAST_KEY_WITHOUT_MODELS: keyWithoutModels })),
    )
    expect(chat).toEqual({ text: answer, finish: 'stop', tokens: 32 })
    expect(stream).toMatchObject({ text: answer, tokens: 32 })
    expect(stream.chunks).toBeGreaterThan(3)
    expect(schema).toEqual({ colour: expect.stringMatching(/^(red|green)$/) as string })
    expect(embeddings.sizes).toEqual([192, 192])
    expect(embeddings.distance).toBeLessThan(1e-5)
    expect(models).toEqual({ list: ['smoke'], one: 'smoke' })
    expect(errors.map(({ type, status, code }) => [type, status, code])).toEqual([
      ['AuthenticationError', 401, 'invalid_api_key'],
      ['NotFoundError', 404, 'model_not_found'],
      ['BadRequestError', 400, 'context_length_exceeded'],
      ['PermissionDeniedError', 403, 'model_not_permitted'],
    ])
    expect(errors[2]?.message).toMatch(/4\d{3} tokens.*512/)
  })
})

describe('a script that lists models by name, version and status', () => {
  const line = 'Model: smoke, Version: dev-v1.0-smoke-2m-q8-0-p0, Status: loaded\n'

  // Only the standard library, so the machine's Python will do.
  test.skipIf(python === null)('in Python', async () => {
    expect(await program('python3', 'python/models.py')).toBe(line)
  })

  test('in Node', async () => {
    expect(await program(process.execPath, 'node/models.mjs')).toBe(line)
  })
})

describe('scripts written for LiteLLM Proxy', () => {
  const Generated = z.looseObject({ key: z.string(), expires: z.string() })

  test('make a key that works at once, ask about it, and delete it for good', async () => {
    expect((await service.cli('team', 'create', 'writers', '--models', 'smoke')).exitCode).toBe(0)
    const asked = {
      key_alias: 'from-a-script',
      models: ['smoke'],
      duration: '30d',
      team_id: 'writers',
      metadata: { ticket: 'OPS-7' },
    }
    const generated = await service.call('/key/generate', asked)
    expect(generated.status).toBe(200)
    const made = Generated.parse(await generated.json())
    expect(made).toMatchObject(asked)
    const days = (Date.parse(made.expires) - Date.now()) / 86_400_000
    expect(days).toBeGreaterThan(29.9)
    expect(days).toBeLessThanOrEqual(30)

    const ids = (await clientOf(made.key).models.list()).data.map(({ id }) => id)
    expect(ids).toEqual(['smoke'])

    const info = await service.call(`/key/info?key=${made.key}`)
    expect(await info.json()).toMatchObject({
      info: {
        key_alias: 'from-a-script',
        models: ['smoke'],
        team_id: 'writers',
        metadata: { ticket: 'OPS-7' },
        expires: made.expires,
        blocked: false,
      },
    })
    const ownInfo = await service.call('/key/info', undefined, { headers: { authorization: `Bearer ${made.key}` } })
    expect(await ownInfo.json()).toMatchObject({ info: { key_alias: 'from-a-script' } })

    const deleted = await service.call('/key/delete', { keys: [made.key] })
    expect(deleted.status).toBe(200)
    expect(await deleted.json()).toEqual({ deleted_keys: [made.key] })
    const { status, message } = await refused(clientOf(made.key).models.list(), OpenAI.AuthenticationError)
    expect({ status, message }).toMatchObject({ status: 401, message: expect.stringContaining('revoked') as string })
  })

  test('are refused without the admin key', async () => {
    const headers = { 'authorization': `Bearer ${key}`, 'content-type': 'application/json' }
    const answered = await service.call('/key/generate', { models: ['smoke'] }, { headers })
    expect(answered.status).toBe(403)
    expect(Refusal.parse(await answered.json()).error.code).toBe('admin_required')
  })
})

describe('rotation', () => {
  test('old and new both work for the grace, and then the old one has expired', async () => {
    const first = await makeKey('--alias', 'rotated')
    const second = await rotate('1h')
    for (const each of [first, second]) expect((await clientOf(each).models.list()).data).toHaveLength(1)

    const third = await rotate('1s')
    expect((await clientOf(third).models.list()).data).toHaveLength(1)
    for (const ended of [first, second]) {
      let refusal: { code: string; message: string } | null = null
      await until(async () => (refusal = await refusalOf(ended)) !== null)
      expect(refusal).toMatchObject({ code: 'invalid_api_key', message: expect.stringContaining('expired') as string })
    }
    expect((await clientOf(third).models.list()).data).toHaveLength(1)
  })

  async function rotate(grace: string): Promise<string> {
    return Made.parse(JSON.parse((await service.cli('key', 'rotate', 'rotated', '--grace', grace, '--json')).stdout))
      .key
  }

  async function refusalOf(secret: string): Promise<{ code: string; message: string } | null> {
    const answered = await service.call('/v1/models', undefined, { headers: { authorization: `Bearer ${secret}` } })
    return answered.ok ? null : Refusal.parse(await answered.json()).error
  }
})

function clientOf(apiKey: string): OpenAI {
  return new OpenAI({ baseURL: `${service.url}/v1`, apiKey, maxRetries: 0 })
}

async function makeKey(...flags: string[]): Promise<string> {
  const { stdout, stderr } = await service.cli('key', 'create', ...flags, '--json')
  if (stdout === '') throw new Error(stderr)
  return Made.parse(JSON.parse(stdout)).key
}

type StatusError = { status: number | undefined; code: string | null | undefined; message: string }

/** The exception of `call`, which must be of `kind` itself and not only of what it extends. */
async function refused(call: PromiseLike<unknown>, kind: new (...args: never[]) => StatusError): Promise<StatusError> {
  const error = await Promise.resolve(call).then(
    () => new Error('It was answered.'),
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof kind)) throw error
  return error
}

/** Runs a program of this folder against the service; what it prints. */
async function program(command: string, file: string, env: Record<string, string> = {}): Promise<string> {
  const { stdout } = await run(command, [join(import.meta.dirname, file)], {
    env: { ...process.env, HOLDFAST_URL: service.url, HOLDFAST_KEY: key, ...env },
    timeout: 50_000,
  })
  return stdout
}

/** A number of the one engine, asked on its own socket. */
async function engineMetric(name: string): Promise<number> {
  const { engines } = Status.parse(JSON.parse((await service.cli('status', '--json')).stdout))
  const asked = request({ socketPath: engines[0]?.socket, path: '/metrics' }).end()
  const [response] = await once(asked, 'response')
  const text: string = (await response.setEncoding('utf8').toArray()).join('')
  return Number(new RegExp(`^embedded:${name} (\\d+)$`, 'm').exec(text)?.[1])
}

/** Asks again until it holds: what another process does has no event here. */
async function until(holds: () => Promise<boolean>, withinMs = 20_000): Promise<void> {
  const start = performance.now()
  while (!(await holds())) {
    if (performance.now() - start > withinMs) throw new Error(`not within ${withinMs} ms`)
    await delay(20)
  }
}
