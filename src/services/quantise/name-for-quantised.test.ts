import { expect, test } from 'vitest'
import { nameForQuantised } from './name-for-quantised.ts'

test.each([
  ['coder-f16.gguf', 'coder-Q4_K_M.gguf'],
  ['/models/Coder-7B.BF16.gguf', '/models/Coder-7B-Q4_K_M.gguf'],
  ['a/coder-f16-00001-of-00004.gguf', 'a/coder-Q4_K_M.gguf'],
  ['coder-Q8_0.gguf', 'coder-Q4_K_M.gguf'],
  ['coder-q5_k_m.GGUF', 'coder-Q4_K_M.gguf'],
  ['coder.gguf', 'coder-Q4_K_M.gguf'],
  // What follows the quantisation is part of the model's name.
  ['coder-f16-final.gguf', 'coder-f16-final-Q4_K_M.gguf'],
  ['f16.gguf', 'f16-Q4_K_M.gguf'],
])('%s becomes %s', (path, named) => {
  expect(nameForQuantised(path, 'q4-k-m')).toBe(named)
})
