import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findQuantisation, quantisations, quantisationsIn, toQuantisation } from './quantisation.ts'

test('R7 usual spellings become tokens', () => {
  expect(toQuantisation('Q4_K_M')).toBe('q4-k-m')
  expect(toQuantisation('Q8_0')).toBe('q8-0')
  expect(toQuantisation('IQ4_NL')).toBe('iq4-nl')
  expect(toQuantisation('F16')).toBe('fp16')
  expect(toQuantisation('BF16')).toBe('bf16')
  expect(toQuantisation('Q4_K')).toBe('q4-k-m')
  expect(toQuantisation('MXFP4_MOE')).toBe('mxfp4')
  expect(toQuantisation('Q9_Z')).toBeNull()
  expect(toQuantisation('')).toBeNull()
})

test('R8 file names tell their quantisation', () => {
  expect(findQuantisation('Qwen3-Embedding-8B-Q4_K_M.gguf')).toBe('q4-k-m')
  expect(findQuantisation('models/llama-7b.Q2_K.gguf')).toBe('q2-k')
  expect(findQuantisation('model-Q2_K_S-00001-of-00003.gguf')).toBe('q2-k-s')
  expect(findQuantisation('gpt-oss-20b-mxfp4.gguf')).toBe('mxfp4')
  expect(findQuantisation('/srv/Q8_0/model-f16.gguf')).toBe('fp16')
  expect(findQuantisation('/srv/Q8_0/model.gguf')).toBeNull()
  expect(findQuantisation('tinyq4_0x.gguf')).toBeNull()
})

test('R8 a size letter after a token makes it an unknown type', () => {
  expect(findQuantisation('llama-Q6_K_L.gguf')).toBeNull()
  expect(findQuantisation('llama-Q4_K_XL.gguf')).toBeNull()
})

test('R8 every quantisation is found in either spelling, and any text at all is searched without a throw', () => {
  for (const token of quantisations) {
    expect(quantisationsIn(`Some-Model-${token.toUpperCase().replaceAll('-', '_')}.gguf`)).toEqual([token])
    expect(quantisationsIn(`some-model.${token}.gguf`)).toEqual([token])
  }
  fc.assert(fc.property(fc.string({ unit: 'binary' }), text => void quantisationsIn(text)))
})
