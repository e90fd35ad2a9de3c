import { describe, expect, test } from 'vitest'
import { modelName, tokens } from '../units.ts'
import { openTokenEstimates } from './estimates.ts'

const coder = modelName('coder')

describe('token estimates', () => {
  test('E1 before anything is learned a token is four characters and an answer 256 tokens', () => {
    const estimates = openTokenEstimates()
    expect(estimates.need(coder, { characters: 401, maxTokens: null })).toEqual({ asked: 101, guessed: 256 })
    expect(estimates.used(coder, { characters: 400, pieces: 20 })).toBe(120)
  })

  test('E2 where max_tokens is sent nothing is guessed', () => {
    expect(openTokenEstimates().need(coder, { characters: 400, maxTokens: 50 })).toEqual({ asked: 150, guessed: 0 })
  })

  test('E1 answers and characters per token are learned, of each model alone', () => {
    const estimates = openTokenEstimates()
    for (let count = 0; count < 200; count += 1)
      estimates.learn(coder, { characters: 1_000, input: tokens(500), output: tokens(40) })
    expect(estimates.need(coder, { characters: 1_000, maxTokens: null })).toEqual({ asked: 500, guessed: 41 })
    expect(estimates.need(modelName('other'), { characters: 1_000, maxTokens: null })).toEqual({
      asked: 250,
      guessed: 256,
    })
  })

  test('E1 what an engine does not say, and counts that can’t be, teach nothing wild', () => {
    const estimates = openTokenEstimates()
    estimates.learn(coder, { characters: 1_000, input: null, output: null })
    estimates.learn(coder, { characters: 1_000, input: tokens(0), output: null })
    for (let count = 0; count < 500; count += 1)
      estimates.learn(coder, { characters: 1_000_000, input: tokens(1), output: null })
    expect(estimates.need(coder, { characters: 1_600, maxTokens: 0 }).asked).toBeGreaterThanOrEqual(100)
  })
})
