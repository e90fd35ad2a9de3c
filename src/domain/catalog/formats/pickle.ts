/**
 * Pickle: what a pickle would import and call, and the tensors that it describes, without doing any of it: a machine with
 * Python's opcodes and no Python. Sources: CPython's Lib/pickletools.py; torch/_utils.py for how tensors are rebuilt.
 */
import { fetchAgain, FormatError } from './reading.ts'
import type { StoredTensor } from './safetensors.ts'
import { textOf } from './text.ts'

export type PickleScan = {
  /** `module.name` of all that it would import, with how often. */
  globals: Map<string, number>
  /** Opcodes that call what was imported, with how often. */
  calls: Map<string, number>
  tensors: StoredTensor[]
  /** Of all storages together, each once. */
  storageBytes: number
  /** Where what follows it begins. */
  end: number
}

type Storage = { kind: 'storage'; key: string; type: string; values: number; valueBytes: number }
type Tensor = { kind: 'tensor'; storage: Storage; offset: number; shape: number[]; name: string }
type Value =
  | { kind: 'other' }
  | { kind: 'text'; text: string }
  | { kind: 'number'; number: number }
  | { kind: 'global'; name: string }
  | { kind: 'tuple'; items: Value[] }
  | Storage
  | Tensor

/** Real checkpoints need some forty a tensor. */
const mostSteps = 2_000_000
const mostTextBytes = 64 * 1024
const mostGlobals = 1000

/** By what torch calls a storage (`torch.HalfStorage`) or a type (`torch.float16`). */
const storageTypes = new Map<string, { type: string; bytes: number }>([
  ['FloatStorage', { type: 'F32', bytes: 4 }],
  ['HalfStorage', { type: 'F16', bytes: 2 }],
  ['BFloat16Storage', { type: 'BF16', bytes: 2 }],
  ['DoubleStorage', { type: 'F64', bytes: 8 }],
  ['LongStorage', { type: 'I64', bytes: 8 }],
  ['IntStorage', { type: 'I32', bytes: 4 }],
  ['ShortStorage', { type: 'I16', bytes: 2 }],
  ['CharStorage', { type: 'I8', bytes: 1 }],
  ['ByteStorage', { type: 'U8', bytes: 1 }],
  ['BoolStorage', { type: 'BOOL', bytes: 1 }],
  ['UntypedStorage', { type: 'U8', bytes: 1 }],
  ['Float8_e4m3fnStorage', { type: 'F8_E4M3', bytes: 1 }],
  ['Float8_e5m2Storage', { type: 'F8_E5M2', bytes: 1 }],
  ['float8_e4m3fn', { type: 'F8_E4M3', bytes: 1 }],
  ['float8_e5m2', { type: 'F8_E5M2', bytes: 1 }],
])

const other: Value = { kind: 'other' }

/** The bytes end before the pickle does. */
class CutShort extends Error {}

/** `null`: the bytes end before the pickle does. Throws FormatError for what is no pickle. */
export function scanPickle(bytes: Uint8Array, from: number): PickleScan | null {
  try {
    return runPickle(bytes, from)
  } catch (error) {
    if (error instanceof CutShort) return null
    throw error
  }
}

function runPickle(bytes: Uint8Array, from: number): PickleScan {
  const input = openInput(bytes, from)
  const machine = openMachine(input)
  for (let steps = 0; steps < mostSteps; steps++) {
    const opcode = input.number(1)
    if (opcode === 0x2e) return { ...machine.found(), end: input.at() }
    const step = opcodes.get(opcode)
    if (step === undefined) throw input.bad(`opcode 0x${opcode.toString(16)} does not exist`)
    step(machine, input)
  }
  throw input.bad(`it has more than ${mostSteps} steps`)
}

type Input = ReturnType<typeof openInput>

function openInput(bytes: Uint8Array, from: number) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = from

  function take(count: number): Uint8Array {
    if (at + count > bytes.length) throw new CutShort()
    at += count
    return bytes.subarray(at - count, at)
  }
  function number(width: 1 | 2 | 4 | 8): number {
    take(width)
    if (width === 1) return view.getUint8(at - 1)
    if (width === 2) return view.getUint16(at - 2, true)
    return width === 4 ? view.getUint32(at - 4, true) : Number(view.getBigUint64(at - 8, true))
  }
  const bad = (problem: string): FormatError =>
    new FormatError(at, `no pickle that can be read: ${problem}`, fetchAgain)

  return {
    at: () => at,
    bad,
    take,
    number,
    line(): string {
      const end = bytes.subarray(at, at + mostTextBytes).indexOf(0x0a)
      if (end < 0 && bytes.length - at >= mostTextBytes) throw bad('a line of it has no end')
      if (end < 0) throw new CutShort()
      return textOf(take(end + 1).subarray(0, end))
    },
    /** What is longer says nothing here. */
    text(width: 1 | 4 | 8): Value {
      const counted = take(number(width))
      return counted.length > mostTextBytes ? other : { kind: 'text', text: textOf(counted) }
    },
  }
}

type Machine = ReturnType<typeof openMachine>

function openMachine(input: Input) {
  const stack: Value[] = []
  const marks: number[] = []
  const memo = new Map<number, Value>()
  const globals = new Map<string, number>()
  const calls = new Map<string, number>()
  const tensors = new Map<string, Tensor>()
  const storages = new Map<string, Storage>()

  function pop(): Value {
    if (stack.length <= (marks.at(-1) ?? 0)) throw input.bad('it takes what is not there')
    return stack.pop() ?? other
  }
  function popToMark(): Value[] {
    const place = marks.pop()
    if (place === undefined) throw input.bad('it needs a mark and has none')
    return stack.splice(place)
  }
  const push = (value: Value): void => void stack.push(value)

  function importGlobal(name: string): void {
    globals.set(name, (globals.get(name) ?? 0) + 1)
    if (globals.size > mostGlobals) throw input.bad(`it imports more than ${mostGlobals} things`)
    push({ kind: 'global', name })
  }

  const note = (opcode: string): void => void calls.set(opcode, (calls.get(opcode) ?? 0) + 1)

  function call(opcode: string, callee: Value, args: Value): void {
    note(opcode)
    const given = args.kind === 'tuple' ? args.items : []
    const made = callee.kind === 'global' ? rebuild(callee.name, given) : other
    if (made.kind === 'tensor') {
      const place = `${made.storage.key}:${made.offset}`
      if (!tensors.has(place)) tensors.set(place, made)
    }
    push(made)
  }

  function persistent(id: Value): void {
    const storage = toStorage(id)
    if (storage.kind === 'storage') storages.set(storage.key, storage)
    push(storage)
  }

  return {
    push,
    pop,
    popToMark,
    importGlobal,
    call,
    note,
    persistent,
    mark: () => void marks.push(stack.length),
    duplicate(): void {
      const value = pop()
      stack.push(value, value)
    },
    /** POP takes a mark, too, when it is on top. */
    drop(): void {
      if (marks.at(-1) === stack.length && marks.length > 0) marks.pop()
      else pop()
    },
    put(index: number): void {
      const value = pop()
      memo.set(index, value)
      push(value)
    },
    memoize(): void {
      const value = pop()
      memo.set(memo.size, value)
      push(value)
    },
    get(index: number): void {
      const value = memo.get(index)
      if (value === undefined) throw input.bad(`it remembers nothing under ${index}`)
      push(value)
    },
    tuple: (items: Value[]) => push({ kind: 'tuple', items }),
    /** Keys of a state dict are the tensors' names. */
    name(pairs: Value[]): void {
      for (let i = 0; i + 1 < pairs.length; i += 2) {
        const [key, value] = [pairs[i], pairs[i + 1]]
        if (key?.kind === 'text' && value?.kind === 'tensor' && value.name === '') value.name = key.text
      }
    },
    found: (): Omit<PickleScan, 'end'> => ({
      globals,
      calls,
      tensors: [...tensors.values()].map(toStored),
      storageBytes: [...storages.values()].reduce((sum, { values, valueBytes }) => sum + values * valueBytes, 0),
    }),
  }
}

/** What the functions that torch saves with a tensor would give. */
function rebuild(name: string, args: Value[]): Value {
  const [first = other, second = other, third = other] = args
  if (name === 'torch.Size') return first
  if (/^torch\._utils\._rebuild_parameter(_with_state)?$/.test(name)) return first
  if (name === 'torch._tensor._rebuild_from_type_v2' && first.kind === 'global' && third.kind === 'tuple')
    return first.name === name ? other : rebuild(first.name, third.items)
  if (!/^torch\._utils\._rebuild_(tensor(_v[23])?|qtensor)$/.test(name)) return other
  if (first.kind !== 'storage' || second.kind !== 'number' || third.kind !== 'tuple') return other
  const shape = third.items.map(item => (item.kind === 'number' ? item.number : 0))
  const type = args[6]?.kind === 'global' ? storageTypes.get(args[6].name.replace(/^torch\./, '')) : undefined
  const storage = type === undefined ? first : { ...first, type: type.type, valueBytes: type.bytes }
  return { kind: 'tensor', storage, offset: second.number, shape, name: '' }
}

/** `('storage', torch.HalfStorage, key, device, values)`. */
function toStorage(id: Value): Value {
  if (id.kind !== 'tuple') return other
  const [what, type, key, , count] = id.items
  if (what?.kind !== 'text' || what.text !== 'storage' || key?.kind !== 'text') return other
  if (type?.kind !== 'global' || count?.kind !== 'number') return other
  const known = storageTypes.get(type.name.slice(type.name.lastIndexOf('.') + 1)) ?? { type: 'unknown', bytes: 1 }
  return { kind: 'storage', key: key.text, type: known.type, values: count.number, valueBytes: known.bytes }
}

function toStored({ storage, shape, name }: Tensor): StoredTensor {
  const values = shape.reduce((product, length) => product * length, 1)
  return { name, shape, type: storage.type, values, bytes: values * storage.valueBytes }
}

type Step = (machine: Machine, input: Input) => void

const says =
  (value: Value): Step =>
  machine =>
    machine.push(value)
const nothing =
  (read: (input: Input) => unknown): Step =>
  (machine, input) => {
    read(input)
    machine.push(other)
  }
const whole =
  (width: 1 | 2 | 4): Step =>
  (machine, input) =>
    machine.push({ kind: 'number', number: input.number(width) })
const lineNumber: Step = (machine, input) => {
  const number = Number(input.line().replace(/L$/, ''))
  machine.push(Number.isNaN(number) ? other : { kind: 'number', number })
}
const lineText: Step = (machine, input) =>
  machine.push({ kind: 'text', text: input.line().replaceAll(/^(['"])(.*)\1$/g, '$2') })
const text =
  (width: 1 | 4 | 8): Step =>
  (machine, input) =>
    machine.push(input.text(width))
const binary = (width: 1 | 4 | 8): Step => nothing(input => input.take(input.number(width)))
const tuple =
  (count: number): Step =>
  machine =>
    machine.tuple(Array.from({ length: count }, () => machine.pop()).toReversed())
const extension =
  (width: 1 | 2 | 4): Step =>
  (machine, input) =>
    machine.importGlobal(`copyreg extension ${input.number(width)}`)

/** By number, as pickletools has them. */
const opcodes = new Map<number, Step>([
  [0x28, machine => machine.mark()],
  [0x29, machine => machine.tuple([])],
  [0x30, machine => machine.drop()],
  [0x31, machine => void machine.popToMark()],
  [0x32, machine => machine.duplicate()],
  [0x42, binary(4)],
  [0x43, binary(1)],
  [0x46, nothing(input => input.line())],
  [0x47, nothing(input => input.take(8))],
  [0x49, lineNumber],
  [0x4a, whole(4)],
  [0x4b, whole(1)],
  [0x4c, lineNumber],
  [0x4d, whole(2)],
  [0x4e, says(other)],
  [0x50, nothing(input => input.line())],
  [0x51, machine => machine.persistent(machine.pop())],
  [0x52, machine => callWith(machine, 'REDUCE')],
  [0x53, lineText],
  [0x54, text(4)],
  [0x55, text(1)],
  [0x56, lineText],
  [0x58, text(4)],
  [0x5d, says(other)],
  [0x61, machine => void machine.pop()],
  [
    0x62,
    machine => {
      machine.pop()
      machine.note('BUILD')
    },
  ],
  [0x63, (machine, input) => machine.importGlobal(`${input.line()}.${input.line()}`)],
  [
    0x64,
    machine => {
      machine.name(machine.popToMark())
      machine.push(other)
    },
  ],
  [0x65, machine => void machine.popToMark()],
  [0x67, (machine, input) => machine.get(Number(input.line()))],
  [0x68, (machine, input) => machine.get(input.number(1))],
  [
    0x69,
    (machine, input) => {
      const items = machine.popToMark()
      machine.importGlobal(`${input.line()}.${input.line()}`)
      machine.call('INST', machine.pop(), { kind: 'tuple', items })
    },
  ],
  [0x6a, (machine, input) => machine.get(input.number(4))],
  [
    0x6c,
    machine => {
      machine.popToMark()
      machine.push(other)
    },
  ],
  [
    0x6f,
    machine => {
      const [callee = other, ...items] = machine.popToMark()
      machine.call('OBJ', callee, { kind: 'tuple', items })
    },
  ],
  [0x70, (machine, input) => machine.put(Number(input.line()))],
  [0x71, (machine, input) => machine.put(input.number(1))],
  [0x72, (machine, input) => machine.put(input.number(4))],
  [
    0x73,
    machine => {
      const value = machine.pop()
      machine.name([machine.pop(), value])
    },
  ],
  [0x74, machine => machine.tuple(machine.popToMark())],
  [0x75, machine => machine.name(machine.popToMark())],
  [0x7d, says(other)],
  [0x80, (_, input) => void input.take(1)],
  [0x81, machine => callWith(machine, 'NEWOBJ')],
  [0x82, extension(1)],
  [0x83, extension(2)],
  [0x84, extension(4)],
  [0x85, tuple(1)],
  [0x86, tuple(2)],
  [0x87, tuple(3)],
  [0x88, says(other)],
  [0x89, says(other)],
  [0x8a, (machine, input) => machine.push({ kind: 'number', number: longOf(input.take(input.number(1))) })],
  [0x8b, (machine, input) => machine.push({ kind: 'number', number: longOf(input.take(input.number(4))) })],
  [0x8c, text(1)],
  [0x8d, text(8)],
  [0x8e, binary(8)],
  [0x8f, says(other)],
  [0x90, machine => void machine.popToMark()],
  [
    0x91,
    machine => {
      machine.popToMark()
      machine.push(other)
    },
  ],
  [
    0x92,
    machine => {
      machine.pop()
      callWith(machine, 'NEWOBJ_EX')
    },
  ],
  [
    0x93,
    machine => {
      const name = machine.pop()
      const module = machine.pop()
      // Names that are computed hide what they are.
      const said = (value: Value): string => (value.kind === 'text' ? value.text : '(computed)')
      machine.importGlobal(`${said(module)}.${said(name)}`)
    },
  ],
  [0x94, machine => machine.memoize()],
  [0x95, (_, input) => void input.take(8)],
  [0x96, binary(8)],
  [0x97, says(other)],
  [0x98, () => {}],
])

function callWith(machine: Machine, opcode: string): void {
  const args = machine.pop()
  machine.call(opcode, machine.pop(), args)
}

/** Little-endian, as many bytes as it takes. Lengths of storages fit in eight. */
function longOf(bytes: Uint8Array): number {
  if (bytes.length > 8) return Infinity
  return bytes.reduceRight((number, byte) => number * 256 + byte, 0)
}
