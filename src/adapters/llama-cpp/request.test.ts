import { expect, test } from 'vitest'
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import { Common, parseRequest, refuseUnsupported, toSampling, toStops } from './request.ts'

const Request = z.object({ ...Common, messages: z.array(z.object({ role: z.string() })) })

function faultOf(read: () => unknown): unknown {
  try {
    read()
  } catch (error) {
    return error instanceof FaultError ? error.fault : error
  }
  return null
}

test('what is left out, or null, has the defaults of OpenAI', () => {
  const { seed, ...rest } = toSampling(parseRequest(Request, { messages: [], temperature: null }))
  expect(rest).toEqual({
    temperature: 1,
    topP: 1,
    topK: 0,
    minP: 0,
    frequencyPenalty: 0,
    presencePenalty: 0,
    repeatPenalty: 1,
  })
  expect(seed).toBeGreaterThanOrEqual(0)
  expect(toStops(undefined)).toEqual([])
  expect(toStops('x')).toEqual(['x'])
})

test('any whole seed becomes 32 bits', () => {
  const seedOf = (seed: number): number => toSampling(parseRequest(Request, { messages: [], seed })).seed
  expect(seedOf(7)).toBe(7)
  expect(seedOf(-1)).toBe(2 ** 32 - 1)
  expect(seedOf(2 ** 32 + 5)).toBe(5)
  expect(toSampling(parseRequest(Request, { messages: [], seed: 7 }), 2).seed).toBe(9)
})

test('a wrong type is named by its path, as OpenAI writes it', () => {
  expect(faultOf(() => parseRequest(Request, { messages: [{ role: 1 }] }))).toMatchObject({
    kind: 'request-invalid',
    param: 'messages[0].role',
  })
  expect(faultOf(() => parseRequest(Request, { messages: [], stop: [''] }))).toMatchObject({ param: 'stop[0]' })
  expect(faultOf(() => parseRequest(Request, 5))).toMatchObject({ param: null })
})

test('what would change the answer is refused, what asks for nothing is not', () => {
  for (const body of [{ best_of: 2 }, { logprobs: true }, { logprobs: 0 }, { echo: true }, { dimensions: 8 }]) {
    expect([body, faultOf(() => refuseUnsupported(body))]).toMatchObject([body, { kind: 'unsupported' }])
  }
  refuseUnsupported({
    n: 1,
    logprobs: false,
    top_logprobs: 0,
    echo: null,
    repetition_penalty: 1,
    modalities: ['text'],
    user: 'me',
  })
})
