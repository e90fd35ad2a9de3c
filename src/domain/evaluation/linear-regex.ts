/**
 * Regular expressions in time linear in the text: patterns come from files, and a backtracking engine can be made to run for
 * years by one of them. The subset: everything but look-around and references back. Rules: C5–C7 in SPEC.md.
 */

/** A text of more than `longest` characters is never found: it would take seconds. */
export type LinearPattern = { found: (text: string) => boolean; longest: number }
export type PatternReading = { ok: true; pattern: LinearPattern } | { ok: false; problem: string }

const longestPattern = 1_000
/** Counted repetitions are written out, so they count here. */
const mostInstructions = 2_000
/** Instructions times characters. */
const mostWork = 5_000_000
const deepest = 50

type Test = (char: string) => boolean
type Assertion = 'start' | 'end' | 'boundary' | 'inside'
type Node =
  | { kind: 'char'; test: Test }
  | { kind: 'assert'; what: Assertion }
  | { kind: 'all'; parts: readonly Node[] }
  | { kind: 'any'; parts: readonly Node[] }
  | { kind: 'repeat'; part: Node; least: number; most: number }
type Instruction =
  | { op: 'char'; test: Test }
  | { op: 'assert'; what: Assertion }
  | { op: 'split'; to: readonly number[] }
  | { op: 'found' }
type Flags = { ignoreCase: boolean; dotAll: boolean; multiline: boolean }

class PatternProblem extends Error {}

/** Searched anywhere in the text unless `^` and `$` say otherwise. `(?i)`, `(?s)`, `(?m)` in front set what JavaScript's flags do. */
export function compileLinear(source: string): PatternReading {
  try {
    if (source.length > longestPattern) throw new PatternProblem(`it has more than ${longestPattern} characters`)
    const { flags, rest } = takeFlags(source)
    const program = emit(parse([...rest], flags))
    const longest = Math.floor(mostWork / program.length)
    const found = (text: string): boolean =>
      text.length <= longest && search({ program, multiline: flags.multiline }, text)
    return { ok: true, pattern: { found, longest } }
  } catch (error) {
    if (error instanceof PatternProblem) return { ok: false, problem: error.message }
    throw error
  }
}

function takeFlags(source: string): { flags: Flags; rest: string } {
  const [whole = '', letters = ''] = /^\(\?([ims]+)\)/.exec(source) ?? []
  return {
    flags: { ignoreCase: letters.includes('i'), dotAll: letters.includes('s'), multiline: letters.includes('m') },
    rest: source.slice(whole.length),
  }
}

function parse(chars: readonly string[], flags: Flags): Node {
  let at = 0
  const rest = (): string => chars.slice(at, at + 80).join('')
  const fail = (problem: string): never => {
    throw new PatternProblem(`${problem} (at character ${at + 1})`)
  }
  const root = either(0)
  if (at < chars.length) fail('a ) has no (')
  return root

  function either(depth: number): Node {
    if (depth > deepest) fail('its groups are nested too deep')
    const parts = [sequence(depth)]
    while (chars[at] === '|') {
      at++
      parts.push(sequence(depth))
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'any', parts }
  }

  function sequence(depth: number): Node {
    const parts: Node[] = []
    while (at < chars.length && chars[at] !== '|' && chars[at] !== ')') parts.push(repeated(atom(depth)))
    return { kind: 'all', parts }
  }

  function repeated(part: Node): Node {
    const written = /^(?:[*+?]|\{(\d{1,5})(,?)(\d{0,5})\})\??/.exec(rest())
    if (written === null) return part
    if (part.kind === 'assert') fail('nothing to repeat')
    at += written[0].length
    if (/^(?:[*+?]|\{\d)/.test(rest())) fail('two repetitions in a row')
    const [least, most] = countsOf(written)
    if (most < least) fail('a repetition’s bounds are out of order')
    return { kind: 'repeat', part, least, most }
  }

  function atom(depth: number): Node {
    const char = chars[at] ?? ''
    switch (char) {
      case '(':
        return group(depth)
      case '[':
        return characterClass()
      case '\\':
        return escape()
      case '*':
      case '+':
      case '?':
        return fail('nothing to repeat')
      case '^':
      case '$':
        at++
        return { kind: 'assert', what: char === '^' ? 'start' : 'end' }
      case '.':
        at++
        return { kind: 'char', test: one => flags.dotAll || !isLineEnd(one) }
      default:
        at++
        return { kind: 'char', test: flags.ignoreCase ? native(quote(char)) : one => one === char }
    }
  }

  function group(depth: number): Node {
    const head = /^\((?:\?:|\?<[A-Za-z_]\w*>|(?!\?))/.exec(rest())?.[0]
    if (head === undefined) return fail('look-around is not in the subset that runs in linear time')
    at += head.length
    const inside = either(depth + 1)
    if (chars[at] !== ')') fail('a ( has no )')
    at++
    return inside
  }

  function characterClass(): Node {
    const from = at
    at++
    while (at < chars.length && chars[at] !== ']') at += chars[at] === '\\' ? 2 : 1
    if (at >= chars.length) fail('a [ has no ]')
    at++
    return { kind: 'char', test: native(chars.slice(from, at).join('')) }
  }

  function escape(): Node {
    const written =
      /^\\(?:[bB]|u\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[pP]\{[\w=]{1,60}\}|[^1-9kcux])/su.exec(
        rest(),
      )?.[0]
    if (written === undefined)
      return fail('this escape is unknown, or a reference back, which needs more than linear time')
    at += [...written].length
    if (written === '\\b' || written === '\\B')
      return { kind: 'assert', what: written === '\\b' ? 'boundary' : 'inside' }
    const isPlain = /^\\[^\w\s]$/u.test(written)
    return { kind: 'char', test: native(isPlain ? quote(written.slice(1)) : written) }
  }

  /** JavaScript's own engine decides about one character: nothing can be tried twice there. */
  function native(one: string): Test {
    try {
      const pattern = new RegExp(`^${one}$`, flags.ignoreCase ? 'iu' : 'u')
      return char => pattern.test(char)
    } catch {
      return fail(`'${one}' can’t be read`)
    }
  }
}

const quote = (char: string): string => char.replace(/[\\^$.*+?()[\]{}|/]/, String.raw`\$&`)

function countsOf([written = '', least, comma, most]: RegExpExecArray): [number, number] {
  if (least === undefined) return [written.startsWith('+') ? 1 : 0, written.startsWith('?') ? 1 : Infinity]
  if (comma === '') return [Number(least), Number(least)]
  return [Number(least), most === '' ? Infinity : Number(most)]
}

function emit(root: Node): Instruction[] {
  const program: Instruction[] = []
  const add = (instruction: Instruction): number => {
    if (program.length >= mostInstructions) throw new PatternProblem('its repetitions are too many when written out')
    return program.push(instruction) - 1
  }
  /** A place whose targets are known later. */
  const fork = (): { at: number; to: number[] } => {
    const to: number[] = []
    return { at: add({ op: 'split', to }), to }
  }
  write(root)
  add({ op: 'found' })
  return program

  function write(node: Node): void {
    switch (node.kind) {
      case 'char':
        add({ op: 'char', test: node.test })
        return
      case 'assert':
        add({ op: 'assert', what: node.what })
        return
      case 'all':
        node.parts.forEach(write)
        return
      case 'any': {
        const { to } = fork()
        const exits = node.parts.map(part => {
          to.push(program.length)
          write(part)
          return fork().to
        })
        for (const exit of exits) exit.push(program.length)
        return
      }
      case 'repeat':
        writeRepeat(node)
        return
      default:
        node satisfies never
    }
  }

  function writeRepeat({ part, least, most }: Extract<Node, { kind: 'repeat' }>): void {
    for (let i = 0; i < least; i++) write(part)
    if (most === Infinity) {
      const loop = fork()
      loop.to.push(program.length)
      write(part)
      fork().to.push(loop.at)
      loop.to.push(program.length)
      return
    }
    const skips: number[][] = []
    for (let i = least; i < most; i++) {
      const { to } = fork()
      to.push(program.length)
      skips.push(to)
      write(part)
    }
    for (const skip of skips) skip.push(program.length)
  }
}

/** All ways through the program at once, one character after another. */
function search(
  { program, multiline }: { program: readonly Instruction[]; multiline: boolean },
  text: string,
): boolean {
  const chars = [...text]
  const seen = new Int32Array(program.length).fill(-1)
  let current: number[] = []
  let next: number[] = []
  for (let at = 0; at <= chars.length; at++) {
    // A match may begin at every place.
    current.push(0)
    const isFound = follow(current, at)
    if (isFound) return true
    const char = chars[at]
    if (char === undefined) return false
    const from = next
    current = []
    for (const place of from) {
      const instruction = program[place]
      if (instruction?.op === 'char' && instruction.test(char)) current.push(place + 1)
    }
  }
  return false

  /** Fills `next` with the characters to be tried at `at`, and empties the stack; true: the end was reached. */
  function follow(stack: number[], at: number): boolean {
    next = []
    for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
      if (seen[place] === at) continue
      seen[place] = at
      const instruction = program[place]
      if (instruction === undefined) continue
      if (instruction.op === 'found') return true
      if (instruction.op === 'char') next.push(place)
      else if (instruction.op === 'split') for (const to of instruction.to) stack.push(to)
      else if (holds(instruction.what, at)) stack.push(place + 1)
    }
    return false
  }

  function holds(what: Assertion, at: number): boolean {
    switch (what) {
      case 'start':
        return at === 0 || (multiline && isLineEnd(chars[at - 1]))
      case 'end':
        return at === chars.length || (multiline && isLineEnd(chars[at]))
      case 'boundary':
        return isWord(chars[at - 1]) !== isWord(chars[at])
      case 'inside':
        return isWord(chars[at - 1]) === isWord(chars[at])
      default:
        return what satisfies never
    }
  }
}

const isWord = (char: string | undefined): boolean => char !== undefined && /^\w$/.test(char)
const isLineEnd = (char: string | undefined): boolean =>
  char === '\n' || char === '\r' || char === '\u2028' || char === '\u2029'
