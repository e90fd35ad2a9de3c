/** Prompts for filling in the middle, of the tokens that the weights name for it. */
import type { Token } from 'node-llama-cpp'

type Marks = { prefix: Token | null; suffix: Token | null; middle: Token | null }

/** `null`: the weights name none. Those without a mark for the middle begin with the suffix and go on from the prefix. */
export function toInfill(marks: Marks, parts: { prefix: Token[]; suffix: Token[] }): Token[] | null {
  if (marks.prefix === null || marks.suffix === null) return null
  const before = [marks.prefix, ...parts.prefix]
  const after = [marks.suffix, ...parts.suffix]
  return marks.middle === null ? [...after, ...before] : [...before, ...after, marks.middle]
}
