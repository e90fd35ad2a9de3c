/** The JSON of a tool call that a model wrote: whose call it is, and its arguments in the model's own digits and order. */

/** A tool that the model was offered. Its parameters' types tell how the words of a call in XML are meant. */
export type OfferedTool = { name: string; parameters?: unknown }
/** `arguments`: JSON text of an object, as the model wrote it. */
export type SaidCall = { name: string; arguments: string }

/** The calls in an object or a list of them; `null` unless all of it is calls of tools that were offered. */
export function toCalls(json: string, tools: readonly OfferedTool[]): SaidCall[] | null {
  if (parse(json) === undefined) return null
  const entries = json.startsWith('[') ? split(json).map(({ value }) => value) : [json]
  const calls = entries.map(entry => toCall(entry, tools))
  return calls.length > 0 && calls.every(call => call !== null) ? calls : null
}

/** The text of an object, or of one that stands in a string; `null`: it is none. */
export function toObjectText(json: string): string | null {
  const value = parse(json)
  if (typeof value === 'string') {
    if (value.trim() === '') return '{}'
    return isRecord(parse(value)) ? value : null
  }
  return isRecord(value) ? json : null
}

/** The JSON of a value that was told in words: a string stays one where the tool's schema says so, or where it is no JSON. */
export function toArgument(words: string, name: string, parameters: unknown): string {
  const value = words.replace(/^\r?\n/, '').replace(/\r?\n$/, '')
  const schema = member(member(parameters, 'properties'), name)
  const isText = member(schema, 'type') === 'string' || parse(value) === undefined
  return isText ? JSON.stringify(value) : value.trim()
}

/** What stands in JSON outside strings, brackets left out: anything else tells that it is none. */
export const isEnclosed = (char: string): boolean => /[\s\d,:.+\-Etrufalsen]/.test(char)

function toCall(json: string, tools: readonly OfferedTool[]): SaidCall | null {
  if (!json.startsWith('{')) return null
  const members = new Map(split(json).map(({ key, value }) => [key, value]))
  const nested = members.get('function')
  if (nested?.startsWith('{') === true) return toCall(nested, tools)
  const name = parse(members.get('name') ?? nested ?? 'null')
  if (typeof name !== 'string' || !tools.some(tool => tool.name === name)) return null
  const given = members.get('arguments') ?? members.get('parameters')
  const args = given === undefined || given === 'null' ? '{}' : toObjectText(given)
  return args === null ? null : { name, arguments: args }
}

/** The members of an object, or the entries of a list (`key` is ''), each value as it was written. The JSON is sound. */
function split(json: string): { key: string; value: string }[] {
  const parts: { key: string; value: string }[] = []
  let depth = 0
  let isQuoted = false
  let key = ''
  let start = 1
  for (let at = 0; at < json.length; at++) {
    const char = json.charAt(at)
    if (isQuoted) {
      if (char === '\\') at++
      else if (char === '"') isQuoted = false
      continue
    }
    if (char === '"') isQuoted = true
    else if (char === '{' || char === '[') depth++
    else if (char === ':' && depth === 1) {
      key = String(parse(json.slice(start, at)))
      start = at + 1
    } else if ((char === ',' && depth === 1) || char === '}' || char === ']') {
      if (char !== ',') depth--
      const isEnd = char === ',' || depth === 0
      const value = isEnd ? json.slice(start, at).trim() : ''
      if (value !== '') parts.push({ key, value })
      if (isEnd) start = at + 1
    }
  }
  return parts
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const member = (value: unknown, name: string): unknown =>
  isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined
