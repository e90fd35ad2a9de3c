/** JSON's size in memory, told from its text: a few bytes of it can become an object, and parsing those takes the whole process's time. */

/** `values`: how many there are. `levels`: how deep they are nested. */
export type JsonSize = { values: number; levels: number }

export type TooMuch = keyof JsonSize

/** Longer conversations and larger batches than any engine takes; half a second of parsing at most. */
export const requestSize: JsonSize = { values: 500_000, levels: 500 }

const quote = 0x22
const comma = 0x2c
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d]

/** Counts until there is too much of one; what is no JSON is not noticed here. Linear, and far faster than parsing. */
export function measureJson(text: string, most: JsonSize): { values: number; tooMuch: TooMuch | null } {
  let values = 1
  let level = 0
  const { length } = text
  for (let at = 0; at < length; at++) {
    const char = text.charCodeAt(at)
    if (char === quote) at = endOfString(text, at)
    else if (char === comma) values++
    else if (char === openBrace || char === openBracket) {
      values++
      if (++level > most.levels) return { values, tooMuch: 'levels' }
    } else if (char === closeBrace || char === closeBracket) level--
    if (values > most.values) return { values, tooMuch: 'values' }
  }
  return { values, tooMuch: null }
}

/** Where the string that begins at `from` has its closing quote. */
function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let backslashes = 0
    while (text[at - 1 - backslashes] === '\\') backslashes++
    if (backslashes % 2 === 0) return at
  }
  return text.length
}
