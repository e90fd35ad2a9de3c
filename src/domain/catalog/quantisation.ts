/** Quantisations: the one list of tokens that a version name may end in, and how files usually spell them. */

export const quantisations = [
  'fp32',
  'fp16',
  'bf16',
  'fp8',
  'int8',
  'int4',
  'awq',
  'gptq',
  'nf4',
  'mxfp4',
  'nvfp4',
  // llama.cpp's file types (`llama-quantize --help`), with `_` as `-`
  'q2-k',
  'q2-k-s',
  'q3-k-s',
  'q3-k-m',
  'q3-k-l',
  'q4-0',
  'q4-1',
  'q4-k-s',
  'q4-k-m',
  'q5-0',
  'q5-1',
  'q5-k-s',
  'q5-k-m',
  'q6-k',
  'q8-0',
  'iq1-s',
  'iq1-m',
  'iq2-xxs',
  'iq2-xs',
  'iq2-s',
  'iq2-m',
  'iq3-xxs',
  'iq3-xs',
  'iq3-s',
  'iq3-m',
  'iq4-nl',
  'iq4-xs',
  'tq1-0',
  'tq2-0',
] as const

export type Quantisation = (typeof quantisations)[number]

/** Other spellings in use. llama.cpp itself reads `Q4_K` as `Q4_K_M`. */
const aliases = new Map<string, Quantisation>([
  ['f32', 'fp32'],
  ['f16', 'fp16'],
  ['mxfp4-moe', 'mxfp4'],
  ['q3-k', 'q3-k-m'],
  ['q4-k', 'q4-k-m'],
  ['q5-k', 'q5-k-m'],
])

const bySpelling = new Map<string, Quantisation>([...quantisations.map(token => [token, token] as const), ...aliases])

/** The most words that a spelling has (`q4-k-m`). */
const longestWords = 3

/** A size letter right after a token makes it another, unknown type: `Q6_K_L` is not `Q6_K`. */
const sizeLetters = /^(x*[sml]|nl)$/

/** The token for a usual spelling (`Q4_K_M`, `F16`, `AWQ`); `null` when none is known. */
export function toQuantisation(usualSpelling: string): Quantisation | null {
  return bySpelling.get(usualSpelling.toLowerCase().replace(/[._]/g, '-')) ?? null
}

/** As llama.cpp and most files spell it: `Q4_K_M`, `F16`. */
export function spellQuantisation(token: Quantisation): string {
  return token
    .toUpperCase()
    .replaceAll('-', '_')
    .replace(/^FP(16|32)$/, 'F$1')
}

/** Every quantisation that a file's name tells of, in order. The name may be a path; folders do not count. */
export function quantisationsIn(fileName: string): Quantisation[] {
  const name = fileName.slice(fileName.lastIndexOf('/') + 1).toLowerCase()
  const words = name.split(/[^a-z0-9]+/)
  const found: Quantisation[] = []
  for (let at = 0; at < words.length;) {
    const match = longestAt(words, at)
    if (match !== null) found.push(match.token)
    at += match?.words ?? 1
  }
  return found
}

/** The quantisation that a file's name tells of, the last one when there are more; `null`: the name tells of none. */
export function findQuantisation(fileName: string): Quantisation | null {
  return quantisationsIn(fileName).at(-1) ?? null
}

function longestAt(words: readonly string[], at: number): { token: Quantisation; words: number } | null {
  for (let count = longestWords; count > 0; count--) {
    const token = bySpelling.get(words.slice(at, at + count).join('-'))
    if (token === undefined) continue
    return sizeLetters.test(words[at + count] ?? '') ? null : { token, words: count }
  }
  return null
}
