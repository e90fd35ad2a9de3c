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

  test('a route it does not have is the spec’s mistake, not the client’s', () => {
    expect(toFault(...recorded('not-found'))).toEqual({ kind: 'engine-failed', status: 404, detail: 'File Not Found' })
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
