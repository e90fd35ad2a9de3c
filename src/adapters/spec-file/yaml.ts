/** YAML with positions: a document's values, and the line and column of every path in them. */
import {
  CST,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  parseDocument,
  Parser,
  visit,
} from 'yaml'
import type { Document, Node, Pair, Scalar, YAMLError, YAMLMap } from 'yaml'

export type Place = { line: number; column: number }
export type YamlProblem = Place & { message: string }
export type YamlReading =
  | { ok: true; value: unknown; placeOf: (path: readonly (string | number)[]) => Place }
  | { ok: false; problems: YamlProblem[] }

/** No spec needs more, and every reader after this one may recurse. */
const deepest = 64
/** How often aliases may be used, what they hold counted in: stops a few lines from growing to gigabytes. */
const mostAliases = 100
/** A broken file breaks everywhere; the first problems are the ones to mend. */
const mostProblems = 50

/** Reads one YAML 1.2 document. What is wrong with it is told all at once, never thrown. */
export function readYaml(text: string): YamlReading {
  const lines = new LineCounter()
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    // Before the first line is known (an empty text) the counter answers 0.
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  try {
    const tooDeepAt = findTooDeep(text)
    if (tooDeepAt !== null) return { ok: false, problems: [{ ...tooDeepAt, message: tooDeep }] }
    // Keys are compared below: the parser would compare each with each.
    const document = parseDocument(text, {
      prettyErrors: false,
      lineCounter: lines,
      version: '1.2',
      stringKeys: true,
      uniqueKeys: false,
    })
    const broken = [...document.errors, ...document.warnings].map(error => ({
      ...placeAt(error.pos[0]),
      message: sayBroken(error),
    }))
    const problems = [...broken, ...structureProblems(document, placeAt)].toSorted(
      (a, b) => a.line - b.line || a.column - b.column,
    )
    if (problems.length > 0) return { ok: false, problems: onePerPlace(problems).slice(0, mostProblems) }
    const value: unknown = document.toJS({ maxAliasCount: mostAliases })
    return { ok: true, value, placeOf: path => placeAt(offsetOf(document, path)) }
  } catch (error) {
    return { ok: false, problems: [{ line: 1, column: 1, message: sayThrown(error) }] }
  }
}

/** Where nesting passes the bound. The composer recurses, and would take minutes to fail on megabytes of brackets. */
function findTooDeep(text: string): Place | null {
  const lines = new LineCounter()
  lines.addNewLine(0)
  const parser = new Parser(lines.addNewLine)
  for (const lexeme of new Lexer().lex(text)) {
    for (const _ of parser.next(lexeme)) {
      /* documents are of no interest here */
    }
    if (parser.stack.filter(isCollectionToken).length <= deepest) continue
    const { line, col } = lines.linePos(parser.offset - lexeme.length)
    return { line, column: col }
  }
  return null
}

const isCollectionToken = (token: CST.Token): boolean => CST.isCollection(token)

/** What is good YAML and still not read: a key given twice, an alias inside what it stands for, and nesting without end. */
function structureProblems(document: Document.Parsed, placeAt: (offset: number) => Place): YamlProblem[] {
  const problems: YamlProblem[] = []
  visit(document, {
    Node(_, node, path) {
      if (isMap(node))
        problems.push(
          ...repeatedKeys(node).map(key => ({ ...placeAt(key.range?.[0] ?? 0), message: 'this key is given twice' })),
        )
      if (!isAlias(node)) return undefined
      const place = placeAt(node.range?.[0] ?? 0)
      if (path.some(above => isCollection(above) && above.anchor === node.source)) {
        problems.push({ ...place, message: `the alias *${node.source} stands inside what it stands for` })
      } else if (node.resolve(document) === undefined) {
        problems.push({ ...place, message: `nothing before this is named &${node.source}` })
      }
      return undefined
    },
  })
  return problems
}

function repeatedKeys(map: YAMLMap): Scalar[] {
  const seen = new Set<unknown>()
  return map.items
    .map(pair => pair.key)
    .filter(isScalar)
    .filter(key => {
      const again = seen.has(key.value)
      seen.add(key.value)
      return again
    })
}

/** Where a path's last step stands: a map's key, a list's item; as far as the path goes. */
function offsetOf(document: Document.Parsed, path: readonly (string | number)[]): number {
  let node: unknown = document.contents
  let offset = document.contents?.range?.[0] ?? 0
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document)
    if (isMap(node)) {
      const pair: Pair | undefined = node.items.find(
        item => isScalar(item.key) && String(item.key.value) === String(step),
      )
      if (pair === undefined) break
      offset = startOf(pair.key) ?? offset
      node = pair.value
    } else if (isSeq(node) && typeof step === 'number') {
      node = node.items[step]
      offset = startOf(node) ?? offset
    } else {
      break
    }
  }
  return offset
}

const startOf = (node: unknown): number | undefined => (node as Node | null | undefined)?.range?.[0] // yaml types keys and items as unknown

const tooDeep = `is nested more than ${deepest} deep`

function sayBroken({ code, message }: YAMLError): string {
  if (message.startsWith('Maximum call stack')) return tooDeep
  if (code === 'MULTIPLE_DOCS') return 'another document starts here: a spec is one document'
  return withoutSource(message)
}

function sayThrown(error: unknown): string {
  if (error instanceof RangeError) return tooDeep
  if (error instanceof ReferenceError)
    return `uses an alias, with what it holds, more than ${mostAliases} times: write the values out`
  return `is not readable as YAML: ${error instanceof Error ? withoutSource(error.message) : String(error)}`
}

/** The parser quotes the text that it stumbled over, and that may be a secret. */
const withoutSource = (message: string): string => message.replace(/:\s[\s\S]*$/, '')

/** The parser says the same of every bracket that was left open. */
function onePerPlace(problems: readonly YamlProblem[]): YamlProblem[] {
  const first = new Map<string, YamlProblem>()
  for (const problem of problems) {
    const place = `${problem.line}:${problem.column}`
    if (!first.has(place)) first.set(place, problem)
  }
  return [...first.values()]
}
