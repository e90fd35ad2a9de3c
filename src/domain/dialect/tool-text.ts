/** Tool calls in text: what models write when they call tools, told from what they say. Rules T1 to T9 in SPEC.md. */
import { isEnclosed, toArgument, toCalls, toObjectText, type OfferedTool, type SaidCall } from './tool-call-json.ts'

/** Texts and sources, joined in their order, are all that was read. */
export type Said = { text: string } | { calls: readonly SaidCall[]; source: string }

export type ToolText = {
  /** Text as it comes, in pieces of any size. Holds back only what may be the beginning of a call. */
  push(text: string): Said[]
  /** What was held back, once the answer is over. */
  end(): Said[]
}

export function openToolText(tools: readonly OfferedTool[]): ToolText {
  const tape: Tape = { text: '', ended: false }
  const out: Said[] = []
  const reading = readAnswer(tape, tools, out)
  return {
    push(text) {
      tape.text += text
      reading.next()
      return out.splice(0)
    },
    end() {
      tape.ended = true
      reading.next()
      return out.splice(0)
    },
  }
}

/** What has been read and not been told. Readers stop (`yield`) where it ends, and go on when there is more of it. */
type Tape = { text: string; ended: boolean }
type Reading<T> = Generator<void, T, void>
/** `calls: null`: it is none, which shows at `end`. */
type Found = { calls: readonly SaidCall[] | null; end: number }
type Form = (tape: Tape, at: number, tools: readonly OfferedTool[]) => Reading<Found>

const forms: { readonly [marker: string]: Form } = {
  '<tool_call>': readTagged,
  '<function=': readFunction,
  '<|python_tag|>': readObjects,
  '[TOOL_CALLS]': readMistral,
}
const markers = Object.keys(forms)
/** Models that lose their way write blanks without end. */
const mostBlanks = 64
const longestName = 256
const anyMarker = /<tool_call>|<function=|<\|python_tag\|>|\[TOOL_CALLS\]/

function* readAnswer(tape: Tape, tools: readonly OfferedTool[], out: Said[]): Reading<void> {
  /** Nothing was said since the beginning, or the last call: blanks may belong to a call. */
  let isQuiet = true

  function tellText(end: number): void {
    if (end === 0) return
    out.push({ text: tape.text.slice(0, end) })
    tape.text = tape.text.slice(end)
    isQuiet = false
  }
  function tell({ calls, end }: Found): void {
    if (calls === null) return tellText(end)
    out.push({ calls, source: tape.text.slice(0, end) })
    tape.text = tape.text.slice(end)
    isQuiet = true
  }

  /** Whether what stands before `end` waits for what follows. */
  const isBlank = (end: number): boolean => isQuiet && end <= mostBlanks && tape.text.slice(0, end).trim() === ''

  const start = yield* skipBlanks(tape, 0, mostBlanks)
  if (yield* beginsBare(tape, start)) tell(yield* readBare(tape, start, tools))
  for (;;) {
    const marker = anyMarker.exec(tape.text)
    if (marker === null) {
      const sure = tape.ended ? tape.text.length : tape.text.length - openEnd(tape.text)
      if (!isBlank(sure)) tellText(sure)
      else if (tape.ended) return tellBlanks(tape, out)
      yield
      continue
    }
    const blanks = isBlank(marker.index) ? marker.index : 0
    if (blanks === 0) tellText(marker.index)
    const form = forms[marker[0]]
    if (form !== undefined) tell(yield* form(tape, blanks + marker[0].length, tools))
  }
}

/** After a call they are part of it; alone they are what was said. */
function tellBlanks(tape: Tape, out: Said[]): void {
  if (tape.text !== '') out.push({ text: tape.text })
  tape.text = ''
}

/** `<tool_call>{…}</tool_call>` (Hermes, Qwen) or the same around a function in XML (Qwen3-Coder). */
function* readTagged(tape: Tape, from: number, tools: readonly OfferedTool[]): Reading<Found> {
  const close = '</tool_call>'
  const at = yield* skipBlanks(tape, from)
  let found: Found
  if (yield* isAt(tape, at, '<function=')) {
    found = yield* readParameters(tape, at + '<function='.length, tools)
    if (found.calls === null) return found
  } else {
    if ((yield* charAt(tape, at)) !== '{') return none(at)
    found = yield* readJson(tape, at, tools)
  }
  const after = yield* skipBlanks(tape, found.end)
  if (yield* isAt(tape, after, close)) return { ...found, end: after + close.length }
  // The end of the answer may stand for the tag's.
  if (tape.ended && close.startsWith(tape.text.slice(after))) return { ...found, end: tape.text.length }
  return none(after)
}

/** `<function=name>…</function>`, with the closing tag of the `<tool_call>` that some models leave out in front. */
function* readFunction(tape: Tape, from: number, tools: readonly OfferedTool[]): Reading<Found> {
  const found = yield* readParameters(tape, from, tools)
  if (found.calls === null) return found
  const after = yield* skipBlanks(tape, found.end)
  return (yield* isAt(tape, after, '</tool_call>')) ? { ...found, end: after + '</tool_call>'.length } : found
}

/** `name><parameter=x>…</parameter>…</function>`, or Llama's `name>{…}</function>`. */
function* readParameters(tape: Tape, from: number, tools: readonly OfferedTool[]): Reading<Found> {
  const nameEnd = yield* skipName(tape, from)
  const tool = tools.find(({ name }) => name === tape.text.slice(from, nameEnd))
  if (tool === undefined || (yield* charAt(tape, nameEnd)) !== '>') return none(nameEnd)
  let at = yield* skipBlanks(tape, nameEnd + 1)
  const members: string[] = []
  let args: string | null = null
  if ((yield* charAt(tape, at)) === '{') {
    const json = yield* scanJson(tape, at)
    args = json.isWhole ? toObjectText(tape.text.slice(at, json.end)) : null
    if (args === null) return none(json.end)
    at = json.end
  }
  for (;;) {
    at = yield* skipBlanks(tape, at)
    if (yield* isAt(tape, at, '</function>')) break
    if (args !== null || !(yield* isAt(tape, at, '<parameter='))) return none(at)
    const keyAt = at + '<parameter='.length
    const keyEnd = yield* skipName(tape, keyAt)
    if ((yield* charAt(tape, keyEnd)) !== '>') return none(keyEnd)
    const valueEnd = yield* find(tape, keyEnd + 1, '</parameter>')
    if (valueEnd === -1) return none(tape.text.length)
    const key = tape.text.slice(keyAt, keyEnd)
    members.push(`${JSON.stringify(key)}:${toArgument(tape.text.slice(keyEnd + 1, valueEnd), key, tool.parameters)}`)
    at = valueEnd + '</parameter>'.length
  }
  const call = { name: tool.name, arguments: args ?? `{${members.join(',')}}` }
  return { calls: [call], end: at + '</function>'.length }
}

/** One object after another, with or without `;` between them. */
function* readObjects(tape: Tape, from: number, tools: readonly OfferedTool[]): Reading<Found> {
  let at = yield* skipBlanks(tape, from)
  const calls: SaidCall[] = []
  for (;;) {
    if ((yield* charAt(tape, at)) !== '{') return none(at)
    const found = yield* readJson(tape, at, tools)
    if (found.calls === null) return found
    calls.push(...found.calls)
    let next = yield* skipBlanks(tape, found.end)
    if ((yield* charAt(tape, next)) === ';') next = yield* skipBlanks(tape, next + 1)
    if ((yield* charAt(tape, next)) !== '{') return { calls, end: found.end }
    at = next
  }
}

/** `[TOOL_CALLS]` and a list, or a name and its arguments (`name[ARGS]{…}`, `name[CALL_ID]id[ARGS]{…}`, `name{…}`). */
function* readMistral(tape: Tape, from: number, tools: readonly OfferedTool[]): Reading<Found> {
  const start = yield* skipBlanks(tape, from)
  if ((yield* charAt(tape, start)) === '[') return yield* readJson(tape, start, tools)
  const nameEnd = yield* skipName(tape, start)
  const tool = tools.find(({ name }) => name === tape.text.slice(start, nameEnd))
  if (tool === undefined) return none(nameEnd)
  let at = nameEnd
  if (yield* isAt(tape, at, '[CALL_ID]')) at = yield* skipName(tape, at + '[CALL_ID]'.length)
  if (yield* isAt(tape, at, '[ARGS]')) at += '[ARGS]'.length
  at = yield* skipBlanks(tape, at)
  if ((yield* charAt(tape, at)) !== '{') return none(at)
  const json = yield* scanJson(tape, at)
  const args = json.isWhole ? toObjectText(tape.text.slice(at, json.end)) : null
  return { calls: args === null ? null : [{ name: tool.name, arguments: args }], end: json.end }
}

/** Objects or a list without any marker, which count only as all that was said. */
function* readBare(tape: Tape, start: number, tools: readonly OfferedTool[]): Reading<Found> {
  const isList = (yield* charAt(tape, start)) === '['
  const found = isList ? yield* readJson(tape, start, tools) : yield* readObjects(tape, start, tools)
  if (found.calls === null) return found
  const after = yield* skipBlanks(tape, found.end)
  return tape.ended && after === tape.text.length ? { ...found, end: after } : none(after)
}

/** Whether an object that may be a call begins there, or a list of them. */
function* beginsBare(tape: Tape, start: number): Reading<boolean> {
  const isList = (yield* charAt(tape, start)) === '['
  const at = isList ? yield* skipBlanks(tape, start + 1) : start
  if ((yield* charAt(tape, at)) !== '{') return false
  const key = yield* skipBlanks(tape, at + 1)
  for (const name of ['name', 'type', 'function', 'id', 'arguments', 'parameters'])
    if (yield* isAt(tape, key, `"${name}"`)) return true
  return false
}

function* readJson(tape: Tape, at: number, tools: readonly OfferedTool[]): Reading<Found> {
  const { isWhole, end } = yield* scanJson(tape, at)
  return { calls: isWhole ? toCalls(tape.text.slice(at, end), tools) : null, end }
}

/** To the bracket that closes the one at `at`, or to what can't stand in JSON. */
function* scanJson(tape: Tape, from: number): Reading<{ isWhole: boolean; end: number }> {
  let depth = 0
  let isQuoted = false
  for (let at = from; ; at++) {
    while (at >= tape.text.length) {
      if (tape.ended) return { isWhole: false, end: tape.text.length }
      yield
    }
    const char = tape.text.charAt(at)
    if (isQuoted) {
      if (char === '\\') at++
      else if (char === '"') isQuoted = false
    } else if (char === '"') isQuoted = true
    else if (char === '{' || char === '[') depth++
    else if (char === '}' || char === ']') depth--
    else if (!isEnclosed(char)) return { isWhole: false, end: at }
    if (depth === 0) return { isWhole: true, end: at + 1 }
  }
}

const none = (end: number): Found => ({ calls: null, end })

/** '' where the answer is over. */
function* charAt(tape: Tape, at: number): Reading<string> {
  while (at >= tape.text.length && !tape.ended) yield
  return tape.text.charAt(at)
}

function* isAt(tape: Tape, at: number, wanted: string): Reading<boolean> {
  for (;;) {
    const there = tape.text.slice(at, at + wanted.length)
    if (there === wanted) return true
    if (tape.ended || !wanted.startsWith(there)) return false
    yield
  }
}

function* skipWhile(chars: RegExp, tape: Tape, { from, most }: { from: number; most: number }): Reading<number> {
  for (let at = from; ; at++) {
    const char = at - from < most ? yield* charAt(tape, at) : ''
    if (char === '' || !chars.test(char)) return at
  }
}

const skipBlanks = (tape: Tape, from: number, most = Infinity): Reading<number> => skipWhile(/\s/, tape, { from, most })
const skipName = (tape: Tape, from: number): Reading<number> => skipWhile(/[\w.:/-]/, tape, { from, most: longestName })

/** Where `wanted` begins; -1: nowhere. */
function* find(tape: Tape, from: number, wanted: string): Reading<number> {
  let at = from
  for (;;) {
    const found = tape.text.indexOf(wanted, at)
    if (found !== -1 || tape.ended) return found
    at = Math.max(from, tape.text.length - wanted.length + 1)
    yield
  }
}

/** Length of the longest end of `text` that begins a marker. */
function openEnd(text: string): number {
  let longest = 0
  for (const marker of markers)
    for (let length = Math.min(marker.length - 1, text.length); length > longest; length--)
      if (text.endsWith(marker.slice(0, length))) longest = length
  return longest
}
