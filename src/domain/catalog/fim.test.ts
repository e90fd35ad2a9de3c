import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { versionName } from '../units.ts'
import { fimPrompt } from './fim.ts'

const promptOf = (base: string): string | null =>
  fimPrompt(versionName(`production-v1.0-${base}-q4-k-m-p0`), { prefix: 'a(', suffix: ')z' })

describe('R10 a model gets the format it was taught', () => {
  test.each([
    ['qwen2-5-coder-7b-instruct', '<|fim_prefix|>a(<|fim_suffix|>)z<|fim_middle|>'],
    ['qwen25-coder-32b', '<|fim_prefix|>a(<|fim_suffix|>)z<|fim_middle|>'],
    ['qwen3-coder-30b-a3b', '<|fim_prefix|>a(<|fim_suffix|>)z<|fim_middle|>'],
    ['qwen-qwen3-coder-30b-a3b', '<|fim_prefix|>a(<|fim_suffix|>)z<|fim_middle|>'],
    ['codegemma-2b', '<|fim_prefix|>a(<|fim_suffix|>)z<|fim_middle|>'],
    [
      'deepseek-coder-6-7b-base',
      '<\uff5cfim\u2581begin\uff5c>a(<\uff5cfim\u2581hole\uff5c>)z<\uff5cfim\u2581end\uff5c>',
    ],
    ['deepseek-coder-v2-lite', '<\uff5cfim\u2581begin\uff5c>a(<\uff5cfim\u2581hole\uff5c>)z<\uff5cfim\u2581end\uff5c>'],
    ['codellama-13b', '<PRE> a( <SUF>)z <MID>'],
    ['codellama-codellama-7b-hf', '<PRE> a( <SUF>)z <MID>'],
    ['starcoder2-7b', '<fim_prefix>a(<fim_suffix>)z<fim_middle>'],
    ['starcoderbase-1b', '<fim_prefix>a(<fim_suffix>)z<fim_middle>'],
    ['stable-code-3b', '<fim_prefix>a(<fim_suffix>)z<fim_middle>'],
    ['granite-code-8b', '<fim_prefix>a(<fim_suffix>)z<fim_middle>'],
    ['granite-8b-code-base', '<fim_prefix>a(<fim_suffix>)z<fim_middle>'],
    ['codestral-22b', '[SUFFIX])z[PREFIX]a('],
    ['seed-coder-8b-base', '<[fim-suffix]>)z<[fim-prefix]>a(<[fim-middle]>'],
  ])('%s', (base, prompt) => {
    expect(promptOf(base)).toBe(prompt)
  })
})

test.each([
  'llama3-8b',
  'qwen3-30b-a3b',
  'coder',
  'granite-4-0-h-small',
  'codegemma-7b-it',
  'codellama-34b',
  'codellama-7b-python',
  'mamba-codestral-7b',
  'seed-coder-8b-instruct',
  'mystarcoder2x-7b',
])('R10 %s was not taught one that is known here: nothing is guessed', base => {
  expect(promptOf(base)).toBeNull()
})

test('R10 what is no version name has no format', () => {
  expect(fimPrompt(versionName('starcoder2'), { prefix: 'a', suffix: 'b' })).toBeNull()
})

test('R10 both parts are there whole, whatever they are', () => {
  const bases = [
    'qwen3-coder-30b',
    'deepseek-coder-v2',
    'codellama-7b',
    'starcoder2-3b',
    'codestral-22b',
    'seed-coder-8b',
  ]
  fc.assert(
    fc.property(fc.constantFrom(...bases), fc.string(), fc.string(), (base, prefix, suffix) => {
      const prompt = fimPrompt(versionName(`dev-v1-${base}-fp16-p0`), { prefix, suffix }) ?? ''
      expect(prompt).toContain(prefix)
      expect(prompt).toContain(suffix)
    }),
  )
})
