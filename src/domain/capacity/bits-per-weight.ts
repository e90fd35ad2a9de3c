/** Bits per weight: what a quantisation takes over a whole file, or of the layers that it touches. */
import type { Quantisation } from '../catalog/index.ts'

export type WeightBits = {
  /** Of matrices inside layers. */
  layers: number
  /** Of embedding and output. */
  ends: number
  source: string
}

const wholeFile = (bits: number, source = 'llama.cpp’s quantize table, Llama-3.1-8B'): WeightBits => ({
  ...{ layers: bits, ends: bits, source },
})
const linear = (bits: number, source: string): WeightBits => ({ layers: bits, ends: 16, source })

const groups128 = 'four bits, a scale and a zero point for 128 weights; embedding and output stay at 16 bits'

const table: Readonly<Record<Quantisation, WeightBits>> = {
  'fp32': wholeFile(32, 'exact'),
  'fp16': wholeFile(16, 'exact'),
  'bf16': wholeFile(16, 'exact'),
  'fp8': linear(8, 'eight bits in layers; embedding and output stay at 16'),
  'int8': linear(8, 'eight bits in layers; embedding and output stay at 16'),
  'int4': linear(4.16, groups128),
  'awq': linear(4.16, groups128),
  'gptq': linear(4.16, groups128),
  'nf4': linear(4.5, 'four bits and scales for 64 weights; embedding and output stay at 16 bits'),
  'mxfp4': linear(4.25, 'four bits and a scale for 32 weights, in experts; the rest stays at 16 bits'),
  'nvfp4': linear(4.5, 'four bits and an eight-bit scale for 16 weights; embedding and output stay at 16 bits'),
  'q2-k': wholeFile(3.16),
  'q2-k-s': wholeFile(2.97),
  'q3-k-s': wholeFile(3.64),
  'q3-k-m': wholeFile(3.95),
  'q3-k-l': wholeFile(4.3),
  'q4-0': wholeFile(4.61),
  'q4-1': wholeFile(5.1),
  'q4-k-s': wholeFile(4.67),
  'q4-k-m': wholeFile(4.89),
  'q5-0': wholeFile(5.57),
  'q5-1': wholeFile(6.06),
  'q5-k-s': wholeFile(5.57),
  'q5-k-m': wholeFile(5.7),
  'q6-k': wholeFile(6.56),
  'q8-0': wholeFile(8.5),
  'iq1-s': wholeFile(2),
  'iq1-m': wholeFile(2.15),
  'iq2-xxs': wholeFile(2.38),
  'iq2-xs': wholeFile(2.59),
  'iq2-s': wholeFile(2.74),
  'iq2-m': wholeFile(2.93),
  'iq3-xxs': wholeFile(3.25),
  'iq3-xs': wholeFile(3.5),
  'iq3-s': wholeFile(3.66),
  'iq3-m': wholeFile(3.76),
  'iq4-nl': wholeFile(4.68),
  'iq4-xs': wholeFile(4.46),
  'tq1-0': wholeFile(1.69, 'its blocks'),
  'tq2-0': wholeFile(2.06, 'its blocks'),
}

export const bitsOf = (quantisation: Quantisation): WeightBits => table[quantisation]

/** Quantisations that make the same model smaller, the largest first, for engines that read GGUF or safetensors. */
export function smallerThan(quantisation: Quantisation, { gguf }: { gguf: boolean }): Quantisation[] {
  const wanted: readonly Quantisation[] = gguf
    ? ['q8-0', 'q6-k', 'q5-k-m', 'q4-k-m', 'iq4-xs', 'q3-k-m', 'iq3-xxs', 'q2-k']
    : ['fp8', 'awq']
  const now = table[quantisation].layers
  return wanted.filter(other => table[other].layers < now - 0.2)
}

/** What a smaller quantisation costs in quality, for people who choose one. */
export function lossOf(quantisation: Quantisation): string {
  const bits = table[quantisation].layers
  if (bits >= 8) return 'no loss that is easily measured'
  if (bits >= 5.5) return 'well below 1 % on most tasks'
  if (bits >= 4) return '1 to 3 % on most tasks; JSON and mathematics suffer first'
  return 'clearly worse, JSON and mathematics first: measure it with your golden set'
}
