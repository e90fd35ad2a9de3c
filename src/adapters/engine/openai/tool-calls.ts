/** Tool calls as OpenAI sends them, out of what engines make of them. */
import { randomUUID } from 'node:crypto'
import { objectEnd } from '../../../domain/dialect/index.ts'
import { asText, field, isRecord, type Json } from './json.ts'
import { answerFailed, keyMarks, mapChoices, type Mend } from './repair.ts'

/**
 * In streams a call is told once with its number, id, type and name, and from then on only its number and arguments:
 * clients join what they are told again. Calls that engines number alike are told apart, arguments that come as an
 * object become JSON text, missing ids are made, and an answer that called tools ends with `tool_calls`.
 */
export function toolCalls(): Mend {
  const answers = new Map<unknown, OpenCalls>()

  function chunkChoice(choice: Json): Json {
    const { delta, finish_reason: finish } = choice
    let calls = answers.get(choice['index'])
    if (calls === undefined) answers.set(choice['index'], (calls = openCalls()))
    const told = listOf(field(delta, 'tool_calls')).flatMap(calls.take)
    const closing = typeof finish === 'string' ? calls.close() : []
    for (const call of closing) told.push(call)
    const isCalled = finish === 'stop' && calls.any()
    if (told.length === 0 && !isCalled && isRecord(delta) && (delta['tool_calls'] ?? null) === null) return choice
    return {
      ...choice,
      ...(isRecord(delta) || told.length > 0 ? { delta: withCalls(delta, told) } : {}),
      ...(isCalled ? { finish_reason: 'tool_calls' } : {}),
    }
  }

  return {
    marks,
    chunk: chunk => mapChoices(chunk, chunkChoice),
    whole: answer => mapChoices(answer, wholeChoice),
  }
}

const marks = [...keyMarks('tool_calls', '['), ...keyMarks('tool_calls', '{'), ...keyMarks('finish_reason', '"')]

/** What one delta says of a call. `null` and '': nothing. */
type Told = { id: string | null; name: string; json: string }
/** `isWhole`: its arguments are, so a name that comes again begins another. `ends` says so as they come. */
type OpenCall = Told & { index: number; isEmpty: boolean; isWhole: boolean; ends: (json: string) => boolean }
type OpenCalls = { take(entry: Json): Json[]; close(): Json[]; any(): boolean }

/** The calls of one choice of a stream. */
function openCalls(): OpenCalls {
  /** By the engine's numbers, which may name one call after another. */
  const slots = new Map<unknown, OpenCall>()
  const all: OpenCall[] = []
  let last: unknown = 0

  function begin(slot: unknown, told: Told): Json {
    const call: OpenCall = { ...told, index: all.length, isEmpty: true, isWhole: false, ends: objectEnd() }
    note(call, told.json)
    slots.set(slot, call)
    all.push(call)
    const { index, id, name, json } = call
    return { index, id: id ?? newId(), type: 'function', function: { name, arguments: json } }
  }

  return {
    take(entry) {
      const slot = entry['index'] ?? last
      last = slot
      const told = read(entry)
      const call = slots.get(slot)
      if (call === undefined || isAnother(call, told)) return [begin(slot, told)]
      note(call, told.json)
      if (call.name === '' && told.name !== '') {
        call.name = told.name
        return [{ index: call.index, function: { name: told.name, arguments: told.json } }]
      }
      return told.json === '' ? [] : [{ index: call.index, function: { arguments: told.json } }]
    },
    close: () =>
      all
        .filter(({ isEmpty }) => isEmpty)
        .map(call => {
          call.isEmpty = false
          return { index: call.index, function: { arguments: '{}' } }
        }),
    any: () => all.length > 0,
  }
}

function note(call: OpenCall, json: string): void {
  call.isEmpty &&= json.trim() === ''
  call.isWhole = call.ends(json)
}

/** Some engines number every call 0, others tell the name of one call again with each piece of its arguments. */
function isAnother(call: OpenCall, { id, name, json }: Told): boolean {
  if (id !== null && call.id !== null) return id !== call.id
  if (name === '' || call.name === '') return false
  return name !== call.name || (json.trim() !== '' && call.isWhole)
}

function wholeChoice(choice: Json): Json {
  const { message, finish_reason: finish } = choice
  if (!isRecord(message) || !isRecordOrList(message['tool_calls'])) return choice
  const ids = new Set<string>()
  const calls = listOf(message['tool_calls']).map(call => {
    const { id, name, json } = read(call)
    const own = id === null || ids.has(id) ? newId() : id
    ids.add(own)
    const { index: _, ...rest } = call
    return { ...rest, id: own, type: 'function', function: { name, arguments: json.trim() === '' ? '{}' : json } }
  })
  return {
    ...choice,
    message: withCalls(message, calls),
    ...(finish === 'stop' && calls.length > 0 ? { finish_reason: 'tool_calls' } : {}),
  }
}

/** An empty list is left out: to many clients it says that tools were called. */
function withCalls(said: unknown, calls: Json[]): Json {
  const { tool_calls: theirs, ...rest } = isRecord(said) ? said : {}
  if (calls.length > 0) return { ...rest, tool_calls: calls }
  return theirs === null ? { ...rest, tool_calls: null } : rest
}

function read(entry: Json): Told {
  const called = entry['function']
  const id = entry['id']
  return {
    id: typeof id === 'number' || (typeof id === 'string' && id !== '') ? String(id) : null,
    name: asText(field(called, 'name')) ?? '',
    json: toJson(field(called, 'arguments')),
  }
}

function toJson(args: unknown): string {
  if (typeof args === 'string') return args
  if (args === undefined || args === null) return ''
  try {
    return JSON.stringify(args)
  } catch {
    throw answerFailed('the arguments of its tool call are nested too deeply')
  }
}

/** Some engines send one call where a list belongs. */
function listOf(calls: unknown): Json[] {
  if (Array.isArray(calls)) return calls.filter(isRecord)
  return isRecord(calls) ? [calls] : []
}

const isRecordOrList = (value: unknown): boolean => Array.isArray(value) || isRecord(value)

const newId = (): string => `call_${randomUUID().replaceAll('-', '').slice(0, 24)}`
