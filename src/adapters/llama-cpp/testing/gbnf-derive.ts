/** A small reader of GBNF for tests: derives texts of a grammar, and matches texts against it. */

type Node =
  | { kind: 'text'; text: string }
  | { kind: 'class'; includes: (char: string) => boolean; samples: string[] }
  | { kind: 'rule'; name: string }
  | { kind: 'all'; parts: Node[] }
  | { kind: 'any'; choices: Node[] }
  | { kind: 'repeat'; part: Node; min: number; max: number }

type Grammar = ReadonlyMap<string, Node>

/** A text of the grammar. `choices` decides at every fork; late forks take the shortest way out. */
export function derive(gbnf: string, choices: IterableIterator<number>): string {
  const grammar = parse(gbnf)
  let steps = 0
  const pick = (from: number): number => {
    const { value } = choices.next()
    return (typeof value === 'number' ? value : 0) % from
  }
  const write = (node: Node): string => {
    steps++
    switch (node.kind) {
      case 'text':
        return node.text
      case 'class':
        return node.samples[pick(node.samples.length)] ?? ''
      case 'rule':
        return write(rule(grammar, node.name))
      case 'all':
        return node.parts.map(write).join('')
      case 'any':
        return write(node.choices[steps > 2000 ? 0 : pick(node.choices.length)] ?? { kind: 'text', text: '' })
      case 'repeat': {
        const times = steps > 500 ? node.min : node.min + pick(Math.min(node.max, node.min + 4) - node.min + 1)
        return Array.from({ length: times }, () => write(node.part)).join('')
      }
      default:
        return node satisfies never
    }
  }
  return write(rule(grammar, 'root'))
}

export function matches(gbnf: string, text: string): boolean {
  const grammar = parse(gbnf)
  const chars = [...text]
  /** Where the node may end when it starts at `at`. */
  const ends = (node: Node, at: number): Set<number> => {
    switch (node.kind) {
      case 'text':
        return chars.slice(at, at + [...node.text].length).join('') === node.text
          ? new Set([at + [...node.text].length])
          : new Set()
      case 'class':
        return at < chars.length && node.includes(chars[at] ?? '') ? new Set([at + 1]) : new Set()
      case 'rule':
        return ends(rule(grammar, node.name), at)
      case 'all':
        return node.parts.reduce(
          (from, part) => new Set([...from].flatMap(start => [...ends(part, start)])),
          new Set([at]),
        )
      case 'any':
        return new Set(node.choices.flatMap(choice => [...ends(choice, at)]))
      case 'repeat': {
        let from = new Set([at])
        const all = new Set(node.min === 0 ? [at] : [])
        for (let times = 1; times <= Math.min(node.max, chars.length + 1) && from.size > 0; times++) {
          from = new Set([...from].flatMap(start => [...ends(node.part, start)]))
          if (times >= node.min) for (const end of from) all.add(end)
        }
        return all
      }
      default:
        return node satisfies never
    }
  }
  return ends(rule(grammar, 'root'), 0).has(chars.length)
}

function rule(grammar: Grammar, name: string): Node {
  const node = grammar.get(name)
  if (node === undefined) throw new Error(`no rule ${name}`)
  return node
}

function parse(gbnf: string): Grammar {
  return new Map(
    gbnf
      .trim()
      .split('\n')
      .map(line => {
        const [name = '', body = ''] = line.split(/ ::= (.*)/s)
        const tokens = body.match(/"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|\{[\d,]+\}|[()|*?+]|[a-z]\w*/g) ?? []
        if (tokens.join('') !== body.replaceAll(/("(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\])|\s/g, '$1'))
          throw new Error(`unread: ${body}`)
        return [name, parseChoices(tokens)]
      }),
  )
}

function parseChoices(tokens: string[]): Node {
  const choices: Node[] = []
  let parts: Node[] = []
  for (;;) {
    const token = tokens.shift()
    if (token === undefined || token === ')' || token === '|') {
      choices.push({ kind: 'all', parts })
      parts = []
      if (token !== '|') return { kind: 'any', choices }
    } else if (token === '(') parts.push(parseChoices(tokens))
    else if (token.startsWith('"')) parts.push({ kind: 'text', text: unescape(token.slice(1, -1)).join('') })
    else if (token.startsWith('[')) parts.push(parseClass(token.slice(1, -1)))
    else if (/^[{*?+]/.test(token))
      parts.push({ kind: 'repeat', part: parts.pop() ?? { kind: 'text', text: '' }, ...times(token) })
    else parts.push({ kind: 'rule', name: token })
  }
}

function times(token: string): { min: number; max: number } {
  if (token === '*') return { min: 0, max: Infinity }
  if (token === '+') return { min: 1, max: Infinity }
  if (token === '?') return { min: 0, max: 1 }
  const [min = '', max = min] = token.slice(1, -1).split(',')
  return { min: Number(min), max: max === '' ? Infinity : Number(max) }
}

const escapes: Record<string, string> = { n: '\n', r: '\r', t: '\t' }

/** Characters, escapes read. */
const unescape = (text: string): string[] =>
  [...text.matchAll(/\\x([0-9A-F]{2})|\\(.)|(.)/gsu)].map(([, hex, escaped, plain]) => {
    if (hex !== undefined) return String.fromCharCode(parseInt(hex, 16))
    return escaped === undefined ? (plain ?? '') : (escapes[escaped] ?? escaped)
  })

function parseClass(text: string): Node {
  const negated = text.startsWith('^')
  const chars = unescape(negated ? text.slice(1) : text)
  const ranges: [string, string][] = []
  for (let at = 0; at < chars.length; at++) {
    const from = chars[at] ?? ''
    const isRange = chars[at + 1] === '-' && at + 2 < chars.length
    ranges.push([from, isRange ? (chars[at + 2] ?? '') : from])
    if (isRange) at += 2
  }
  const includes = (char: string): boolean => ranges.some(([from, to]) => char >= from && char <= to) !== negated
  const candidates = [...'abcdefABCDEF0123456789+-. жé😀"\\/{}[]:,', '\u2028', '\n', '\x01', '\x7F', 'n', 'r', 't', 'u']
  return { kind: 'class', includes, samples: candidates.filter(includes) }
}
