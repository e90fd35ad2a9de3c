/** GBNF: llama.cpp's grammar notation. Rules with made-up names, and the pieces JSON is built from. */

export type Rules = {
  /** Adds a rule and answers its name. Simple references are given back as they are. */
  add(body: string): string
  /** Reserves a name, for rules that refer to themselves. */
  reserve(): string
  define(name: string, body: string): void
  /** The rule kept under `key`, made at its first use. */
  shared(key: string, make: () => string): string
  /** The whole grammar, starting at `root`. */
  render(root: string): string
}

export function openRules(): Rules {
  const bodies = new Map<string, string>()
  const kept = new Map<string, string>()
  const rules: Rules = {
    add(body) {
      if (bodies.has(body)) return body
      const name = rules.reserve()
      bodies.set(name, body)
      return name
    },
    reserve() {
      const name = `r${bodies.size}`
      bodies.set(name, '""')
      return name
    },
    define(name, body) {
      bodies.set(name, body)
    },
    shared(key, make) {
      const name = kept.get(key) ?? rules.reserve()
      if (!kept.has(key)) {
        kept.set(key, name)
        rules.define(name, make())
      }
      return name
    },
    render: root => [`root ::= ${root}`, ...[...bodies].map(([name, body]) => `${name} ::= ${body}`)].join('\n') + '\n',
  }
  return rules
}

/** Exactly this text. */
export function literal(text: string): string {
  const escaped = text.replace(
    /[\\"\n\r\t]/g,
    char => ({ '\\': '\\\\', '"': '\\"', '\n': '\\n', '\r': '\\r', '\t': '\\t' })[char] ?? char,
  )
  return `"${escaped}"`
}

export const oneOf = (choices: readonly string[]): string =>
  choices.length === 1 ? (choices[0] ?? '') : `(${choices.join(' | ')})`

/** `piece` at least `min` and at most `max` times; `null`: without end. */
export function repeat(piece: string, min: number, max: number | null): string {
  if (max === null) return min === 0 ? `${piece}*` : `${piece}{${min},}`
  if (max === 0) return '""'
  return min === max ? `${piece}{${min}}` : `${piece}{${min},${max}}`
}

/** One character of a JSON string. Surrogate escapes are left out: alone they are no text, in pairs they'd count as two. */
export const jsonChar = (rules: Rules): string =>
  rules.shared(
    'char',
    () =>
      '[^"\\\\\\x00-\\x1F\\x7F] | "\\\\" (["\\\\/bfnrt] | "u" ([0-9a-cA-Ce-fE-F] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}))',
  )

/** Between tokens of JSON at most one space: a weak model would go on with white space for ever. */
export const gap = (rules: Rules): string => rules.shared('gap', () => '" "?')

/** Digits that every integer here may have: each such number is exact in a double. */
export const integerDigits = 15
const largest = 10 ** integerDigits - 1

/** Whole numbers in [min, max], as written in JSON; `null` when there is none. */
export function integersWithin(min: number, max: number): string | null {
  const low = Math.max(Math.ceil(min), -largest)
  const high = Math.min(Math.floor(max), largest)
  if (low > high) return null
  const choices: string[] = []
  if (low < 0) choices.push(`"-" ${naturals(Math.max(1, -high), -low)}`)
  if (high >= 0) choices.push(naturals(Math.max(0, low), high))
  return oneOf(choices)
}

function naturals(low: number, high: number): string {
  const choices: string[] = []
  for (let length = String(low).length; length <= String(high).length; length++) {
    const least = length === 1 ? 0 : 10 ** (length - 1)
    choices.push(...sameLength(String(Math.max(low, least)), String(Math.min(high, 10 ** length - 1))))
  }
  return oneOf(choices)
}

/** Numbers between two of the same length, digit by digit. */
function sameLength(low: string, high: string): string[] {
  if (low === high) return [literal(low)]
  const rest = low.length - 1
  if (/^0*$/.test(low) && /^9*$/.test(high)) return [`[0-9]{${low.length}}`]
  const first = Number(low[0])
  const last = Number(high[0])
  const lead = (digit: number, tails: string[]): string =>
    rest === 0 ? literal(String(digit)) : `${literal(String(digit))} ${oneOf(tails)}`
  if (first === last) return [lead(first, sameLength(low.slice(1), high.slice(1)))]
  const lowIsRound = /^0*$/.test(low.slice(1))
  const highIsRound = /^9*$/.test(high.slice(1))
  const from = lowIsRound ? first : first + 1
  const to = highIsRound ? last : last - 1
  const choices: string[] = []
  if (!lowIsRound) choices.push(lead(first, sameLength(low.slice(1), '9'.repeat(rest))))
  if (from <= to) choices.push(`[${from}-${to}]${rest === 0 ? '' : ` [0-9]{${rest}}`}`)
  if (!highIsRound) choices.push(lead(last, sameLength('0'.repeat(rest), high.slice(1))))
  return choices
}
