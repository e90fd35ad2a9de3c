/**
 * The free text of a custom tool's call. Engines know only functions, so it comes as `{"input": "…"}`, piece by piece; it is
 * told to the client as it comes. Rule S17.
 */
import { isJson, isText, type Json } from './refuse.ts'

/** The one parameter that stands for a custom tool's text. */
export const customParameters: Json = {
  type: 'object',
  properties: { input: { type: 'string', description: 'The whole input of the tool, as plain text.' } },
  required: ['input'],
  additionalProperties: false,
}

export const toCustomArguments = (input: string): string => JSON.stringify({ input })

export interface InputReader {
  /** Takes the next piece of the arguments; gives the text that it adds. */
  add(json: string): string
  /** Gives what was held back. Afterwards all that was given is the call's input. */
  end(): string
}

/** Where the text begins, in the one way in which nearly every model writes it. */
const beginning = /^\s*\{\s*"input"\s*:\s*"/
/** A text that has not begun by then begins otherwise: to look again with each piece would take ever longer. */
const longestBeginning = 256
const escapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

export function inputReader(): InputReader {
  /** What is not yet read: everything before the text begins, then at most half an escape. */
  let rest = ''
  /** All of it, when the text begins in no known way. */
  const bare: string[] = []
  /** Half a character: clients in other languages cannot read one alone. */
  let half = ''
  let state: 'before' | 'inside' | 'after' | 'bare' = 'before'

  return {
    add(json) {
      if (state === 'bare') {
        bare.push(json)
        return ''
      }
      rest += json
      if (state === 'before') {
        const found = beginning.exec(rest)
        if (found === null) {
          if (rest.length > longestBeginning) {
            state = 'bare'
            bare.push(rest)
          }
          return ''
        }
        state = 'inside'
        rest = rest.slice(found[0].length)
      }
      const text = half + (state === 'inside' ? readString() : '')
      half = state === 'inside' && /[\uD800-\uDBFF]$/.test(text) ? text.slice(-1) : ''
      return half === '' ? text : text.slice(0, -1)
    },

    end() {
      // Never begun: the field stands elsewhere, or the model wrote its text bare.
      if (state === 'bare') return fieldOf(bare.join(''))
      return state === 'before' ? fieldOf(rest) : half
    },
  }

  function readString(): string {
    let text = ''
    let at = 0
    for (;;) {
      const next = rest[at]
      const width = next === '\\' ? escapeWidth(rest, at) : 1
      if (next === '"') state = 'after'
      if (next === undefined || next === '"' || at + width > rest.length) break
      text += next === '\\' ? unescaped(rest.slice(at + 1, at + width)) : next
      at += width
    }
    rest = state === 'after' ? '' : rest.slice(at)
    return text
  }
}

const escapeWidth = (text: string, at: number): number => (text[at + 1] === 'u' ? 6 : 2)

function unescaped(escape: string): string {
  if (/^u[\da-f]{4}$/i.test(escape)) return String.fromCharCode(parseInt(escape.slice(1), 16))
  return escapes[escape] ?? escape
}

function fieldOf(all: string): string {
  try {
    const parsed: unknown = JSON.parse(all)
    return isJson(parsed) && isText(parsed['input']) ? parsed['input'] : all
  } catch {
    return all
  }
}
