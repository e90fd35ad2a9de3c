/** Tokens to text as they come, in whole characters. */
import type { Token } from 'node-llama-cpp'

/** A character of UTF-8 has at most four bytes, so at most four tokens. */
const longestCharacter = 4
const unfinished = '\uFFFD'

type Detokenizer = {
  detokenize(tokens: readonly Token[], specialTokens?: boolean, lastTokens?: readonly Token[]): string
}

/** Tokens to text, holding back tokens that end inside a character. What is never completed is never sent. */
export function openTokenText(
  model: Detokenizer,
  { before, withControlTokens }: { before: readonly Token[]; withControlTokens: boolean },
): { push(token: Token): string } {
  let previous = before.slice(-longestCharacter)
  let pending: Token[] = []
  return {
    push(token) {
      pending.push(token)
      const text = model.detokenize(pending, withControlTokens, previous)
      if (text.endsWith(unfinished) && pending.length < longestCharacter) return ''
      previous = [...previous, ...pending].slice(-longestCharacter)
      pending = []
      return text
    },
  }
}
