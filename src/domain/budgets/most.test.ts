import fc from 'fast-check'
import { expect, test } from 'vitest'
import { millis, tokens } from '../units.ts'
import { answerBound, costOf, learn, mostOf, nothingLearned, type Learned } from './most.ts'

const rate = { hourly: 3.6, currency: 'EUR', gpus: 2, estimated: false }
const chat = (body: object) => answerBound({ path: 'chat/completions', body: { ...body } })

test('B10 the answer is bounded by what the client says, for each of its choices', () => {
  expect(chat({ max_tokens: 100 })).toBe(100)
  expect(chat({ max_tokens: 100, max_completion_tokens: 50, n: 2 })).toBe(100)
  expect(chat({})).toBeNull()
  expect(chat({ max_tokens: 0.5 })).toBeNull()
  expect(answerBound({ path: 'embeddings', body: { max_tokens: 5 } })).toBe(0)
})

test('B10 the most is by the bound, or by what unbounded answers took', () => {
  const learned: Learned = { perToken: millis(10), answer: tokens(300) }
  const most = mostOf({ prompt: tokens(100), bound: tokens(50) }, learned, rate)
  expect(most).toEqual({ tokens: 150, gpuMs: 600, money: { amount: costOf(millis(600), rate), currency: 'EUR' } })
  expect(mostOf({ prompt: tokens(100), bound: null }, learned, rate).tokens).toBe(400)
})

test('B2 an hour of all its GPUs costs what an hour of the replica does', () => {
  expect(costOf(millis(2 * 3_600_000), rate)).toBe(3.6)
})

test('B10 what took longer counts at once, at most twice over, and what took less slowly', () => {
  const done = { input: tokens(0), output: tokens(100), bounded: true }
  const slow = learn(nothingLearned, { ...done, gpuMs: millis(8_000) })
  expect(slow.perToken).toBe(80)
  expect(learn(slow, { ...done, gpuMs: millis(1e9) }).perToken).toBe(160)
  expect(learn(slow, { ...done, gpuMs: millis(3_000) }).perToken).toBe(79)
  expect(slow.answer).toBe(nothingLearned.answer)
})

test('B10 a few tokens say nothing of the speed', () => {
  const short = { input: tokens(10), output: tokens(2), gpuMs: millis(60_000), bounded: false }
  expect(learn(nothingLearned, short).perToken).toBe(nothingLearned.perToken)
})

test('B10 of a steady engine the most is never less than the next request takes', () => {
  const size = fc.record({ input: fc.integer({ min: 0, max: 2_000 }), output: fc.integer({ min: 20, max: 500 }) })
  fc.assert(
    fc.property(fc.array(size, { minLength: 1, maxLength: 50 }), fc.integer({ min: 1, max: 100 }), (sizes, each) => {
      const took = ({ input, output }: { input: number; output: number }) => millis((output + input / 10) * each)
      let learned = nothingLearned
      for (const { input, output } of [{ input: 0, output: 100 }, ...sizes]) {
        const done = { input: tokens(input), output: tokens(output), gpuMs: took({ input, output }), bounded: true }
        learned = learn(learned, done)
        const next = mostOf({ prompt: tokens(input), bound: tokens(output) }, learned, rate)
        expect(next.gpuMs).toBeGreaterThanOrEqual(done.gpuMs * (1 - 1e-9))
      }
    }),
  )
})
