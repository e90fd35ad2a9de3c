/** The `.http` files in testdata are answers of a real llama-server, as curl received them. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { toHttp } from '../../../domain/fault.ts'
import { toFault } from './errors.ts'

function recorded(name: string): [status: number, body: string] {
  const text = readFileSync(new URL(`testdata/${name}.http`, import.meta.url), 'utf8').replaceAll('\r\n', '\n')
  return [Number(text.split(' ')[1]), text.slice(text.indexOf('\n\n') + 2)]
}

describe('llama-server, as recorded', () => {
  test('a context that is too small tells both numbers', () => {
    expect(toFault(...recorded('context-exceeded'))).toEqual({ kind: 'context-exceeded', asked: 6011, limit: 512 })
  })

  test('a client’s mistake stays one, with the engine’s words', () => {
    expect(toFault(...recorded('no-messages'))).toEqual({
      kind: 'engine-refused',
      status: 400,
      message: "'messages' is required",
      param: null,
      code: null,
    })
  })

  test('a route it does not have is no failure: clients who try it must not take the engine from the others', () => {
    for (const [status, text] of [
      recorded('not-found'),
      [404, '{"detail":"Not Found"}'],
      [404, ''],
      [404, '<html>'],
    ] as const) {
      const fault = toFault(status, text)
      expect(fault).toMatchObject({ kind: 'unsupported', instead: expect.stringContaining('url') as string })
      expect(toHttp(fault).status).toBe(400)
    }
    expect(toFault(404, '{"detail":"No such adapter"}')).toMatchObject({ kind: 'engine-failed', status: 404 })
  })

  test('a 500 is a failure of the engine', () => {
    expect(toFault(...recorded('bad-json'))).toMatchObject({ kind: 'engine-failed', status: 500 })
  })

  test('loading its model is no failure', () => {
    const body = '{"error":{"message":"Loading model","type":"unavailable_error","code":503}}'
    expect(toFault(503, body)).toEqual({ kind: 'not-ready', why: 'Loading model' })
  })
})

describe('vLLM', () => {
  const old = (message: string) =>
    JSON.stringify({ object: 'error', message, type: 'BadRequestError', param: 'max_tokens', code: 400 })
  const now = (message: string) =>
    JSON.stringify({ error: { message, type: 'BadRequestError', param: null, code: 400 } })

  test('both shapes of a context that is too small tell both numbers', () => {
    const says =
      "This model's maximum context length is 512 tokens. However, you requested 6011 tokens in the messages. Please reduce the length."
    for (const shape of [old, now])
      expect(toFault(400, shape(says))).toEqual({ kind: 'context-exceeded', asked: 6011, limit: 512 })
  })

  test('a limit without a count is passed on in its words', () => {
    const says = 'The prompt is longer than the maximum model length of 512.'
    expect(toFault(400, now(says))).toMatchObject({ kind: 'engine-refused', message: says })
  })

  test('a refused parameter is named', () => {
    expect(toFault(400, old('max_tokens must be at least 1'))).toMatchObject({
      kind: 'engine-refused',
      param: 'max_tokens',
    })
  })
})

describe('a request that is too long, in each engine’s words', () => {
  test.each([
    [
      "You passed 6011 input tokens and requested 100 output tokens. However, the model's context length is only 512 tokens, resulting in a maximum input length of 412 tokens. Please reduce the length of the input prompt.",
      6111,
    ],
    [
      "'max_tokens' or 'max_completion_tokens' is too large: 100. This model's maximum context length is 512 tokens and your request has 6011 input tokens (100 > 512 - 6011).",
      6111,
    ],
    [
      "This model's maximum context length is 512 tokens. However, you requested 100 output tokens and your prompt contains at least 6011 input tokens, for a total of at least 6111 tokens. Please reduce the length of the input prompt or the number of requested output tokens.",
      6111,
    ],
    ['The decoder prompt (length 6011) is longer than the maximum model length of 512. Make sure that', 6011],
    ["The input (6011 tokens) is longer than the model's context length (512 tokens).", 6011],
    [
      "Requested token count exceeds the model's maximum context length of 512 tokens. You requested a total of 6111 tokens: 6011 tokens from the input messages and 100 tokens for the completion.",
      6111,
    ],
    ['Input length (6011 tokens) exceeds the maximum allowed length (512 tokens). Use a shorter input', 6011],
    [
      'The sum of prompt length (6011.0), query length (0) and max_tokens (100) should not exceed max_seq_len (512)',
      6111,
    ],
    ['The sum of prompt length (6011.0), query length (0) should not exceed max_num_tokens (512)', 6011],
    ['Prompt length (6011) exceeds maximum input length (512). Set log level to info', 6011],
    [
      'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 512. Given: 6011 `inputs` tokens and 100 `max_new_tokens`',
      6111,
    ],
    ['Input validation error: `inputs` must have less than 512 tokens. Given: 6011', 6011],
  ])('%s', (says, asked) => {
    for (const body of [{ error: { message: says } }, { object: 'error', message: says }, { error: says }])
      expect(toFault(400, JSON.stringify(body))).toEqual({ kind: 'context-exceeded', asked, limit: 512 })
  })
})

describe('causes and remedies', () => {
  const fault = (status: number, message: string) => toFault(status, JSON.stringify({ error: { message } }))

  test('tools that an engine was not started for: the flags to put into the version', () => {
    const vllm = fault(400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')
    expect(vllm).toMatchObject({
      kind: 'engine-refused',
      message: expect.stringMatching(/engine\.flags.*enable-auto-tool-choice: true.*tool-call-parser/) as string,
    })
    expect(fault(400, 'having tools in the request requires --tool-call-parser to be set')).toMatchObject({
      message: expect.stringMatching(/engine\.flags.*parser/) as string,
    })
  })

  test('a model that it does not serve: engine.servedName', () => {
    for (const [status, says] of [
      [404, 'The model `coder` does not exist.'],
      [400, 'Unknown model: coder'],
      [404, "model 'coder' not found, try pulling it first"],
    ] as const)
      expect(fault(status, says)).toEqual({
        kind: 'engine-failed',
        status,
        detail: expect.stringMatching(/'coder'.*engine\.servedName/) as string,
      })
  })

  test('memory and a dead process are the engine’s failures, whatever the status', () => {
    expect(fault(500, 'CUDA out of memory. Tried to allocate 2.00 GiB.')).toMatchObject({
      kind: 'engine-failed',
      detail: expect.stringMatching(/GPU memory.*engine\.flags.*2\.00 GiB/) as string,
    })
    for (const status of [500, 503])
      expect(
        fault(status, 'EngineCore encountered an issue. See stack trace (above) for the root cause.'),
      ).toMatchObject({
        kind: 'engine-failed',
        detail: expect.stringContaining('restart') as string,
      })
  })

  test('an engine that is not ready or has no place left is not the client’s mistake, whatever it answers', () => {
    for (const detail of [
      'Attached inference engine is not ready for inference requests.',
      'Exceeds maximum queue size',
    ])
      expect(toFault(400, JSON.stringify({ detail }))).toEqual({ kind: 'not-ready', why: detail })
    expect(toFault(429, '{"error":"Model is overloaded","error_type":"overloaded"}')).toEqual({
      kind: 'not-ready',
      why: 'Model is overloaded',
    })
  })

  test('what FastAPI finds wrong with a body is told with where it is', () => {
    const detail = [
      { type: 'missing', loc: ['body', 'messages', 0, 'role'], msg: 'Field required' },
      { type: 'int_type', loc: ['body', 'n'], msg: 'Input should be a valid integer' },
    ]
    expect(toFault(422, JSON.stringify({ detail }))).toEqual({
      kind: 'engine-refused',
      status: 422,
      message: "'messages.0.role': Field required; 'n': Input should be a valid integer",
      param: 'messages',
      code: null,
    })
  })
})

test('what is wrong with the credentials is the spec’s matter and never holds the engine’s words', () => {
  for (const status of [401, 403]) {
    const fault = toFault(status, '{"error":{"message":"Incorrect API key provided: sk-secret"}}')
    expect(fault).toMatchObject({ kind: 'engine-failed', status })
    expect(JSON.stringify(fault)).not.toContain('sk-secret')
  }
})

test('other shapes: text, FastAPI’s detail, pages of proxies, nothing', () => {
  expect(toFault(400, '{"error":"too hot"}')).toMatchObject({ message: 'too hot' })
  expect(toFault(422, '{"detail":"no such thing"}')).toMatchObject({ message: 'no such thing' })
  expect(toFault(400, '<html>secret</html>')).toMatchObject({ message: 'The engine refused the request (HTTP 400).' })
  expect(toFault(502, '')).toEqual({ kind: 'engine-failed', status: 502, detail: 'without saying why' })
  expect(toFault(429, '')).toMatchObject({ kind: 'not-ready' })
})

test('whatever an engine sends with an error becomes an answer in four keys', () => {
  const body = fc.oneof(
    fc.string(),
    fc.json(),
    fc.record({ error: fc.jsonValue() }).map(value => JSON.stringify(value)),
  )
  fc.assert(
    fc.property(fc.integer({ min: 201, max: 599 }), body, (status, text) => {
      const { status: told, body: answer } = toHttp(toFault(status, text))
      expect(told).toBeGreaterThanOrEqual(400)
      expect(told).toBeLessThan(600)
      expect(Object.keys(answer.error).toSorted()).toEqual(['code', 'message', 'param', 'type'])
      expect(typeof answer.error.message).toBe('string')
    }),
  )
})
