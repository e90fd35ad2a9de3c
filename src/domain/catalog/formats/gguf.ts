/** GGUF: the header of one file, versions 2 and 3, both byte orders. Source: ggml/docs/gguf.md of llama.cpp. */
import { openCursor, type Cursor } from './cursor.ts'
import { ggmlType, unknownType } from './ggml-types.ts'
import { fetchAgain, FormatError, shown, type Reading } from './reading.ts'
import { textOf } from './text.ts'

export type GgufHeader = {
  version: number
  byteOrder: 'little' | 'big'
  metadata: ReadonlyMap<string, GgufValue>
  tensors: GgufTensor[]
  /** Where the tensors' bytes begin. */
  dataAt: number
}

export type GgufValue = number | boolean | string | GgufList

/** `items` null: too long to be kept; only vocabularies are. */
export type GgufList = { count: number; items: (number | boolean | string)[] | null }

export type GgufTensor = {
  name: string
  shape: number[]
  type: string
  values: number
  bytes: number
  /** From `dataAt`. */
  offset: number
  /** Its type is not known here, so `bytes` is what lies between it and the next tensor. */
  estimated: boolean
}

/** Above what any model has, and low enough that all of it fits in memory. */
const mostHeaderBytes = 256 * 1024 * 1024
const mostEntries = 65_536
const mostTensors = 262_144
const mostKeyBytes = 65_535
const mostTextBytes = 4 * 1024 * 1024
const mostKeptBytes = 32 * 1024 * 1024
const mostKeptItems = 4096
const mostDimensions = 4
const deepestList = 4

const numbers = [
  { name: 'u8', bytes: 1, read: (view: DataView) => view.getUint8(0) },
  { name: 'i8', bytes: 1, read: (view: DataView) => view.getInt8(0) },
  { name: 'u16', bytes: 2, read: (view: DataView, little: boolean) => view.getUint16(0, little) },
  { name: 'i16', bytes: 2, read: (view: DataView, little: boolean) => view.getInt16(0, little) },
  { name: 'u32', bytes: 4, read: (view: DataView, little: boolean) => view.getUint32(0, little) },
  { name: 'i32', bytes: 4, read: (view: DataView, little: boolean) => view.getInt32(0, little) },
  { name: 'f32', bytes: 4, read: (view: DataView, little: boolean) => view.getFloat32(0, little) },
  { name: 'bool', bytes: 1, read: (view: DataView) => view.getUint8(0) !== 0 },
  null,
  null,
  { name: 'u64', bytes: 8, read: (view: DataView, little: boolean) => Number(view.getBigUint64(0, little)) },
  { name: 'i64', bytes: 8, read: (view: DataView, little: boolean) => Number(view.getBigInt64(0, little)) },
  { name: 'f64', bytes: 8, read: (view: DataView, little: boolean) => view.getFloat64(0, little) },
] as const
const text = 8
const list = 9

/** Throws FormatError. `size`: of the file; Infinity when nobody knows. */
export function* readGguf(size: number): Reading<GgufHeader> {
  const cursor = openCursor({ size, mostBytes: mostHeaderBytes })
  const { version, byteOrder } = yield* readVersion(cursor)
  const tensorCount = yield* readCount(cursor, { what: 'tensors', most: mostTensors, leastBytes: 24 })
  const entryCount = yield* readCount(cursor, { what: 'metadata entries', most: mostEntries, leastBytes: 13 })

  const metadata = new Map<string, GgufValue>()
  const kept = { bytes: 0 }
  for (let i = 0; i < entryCount; i++) {
    const at = cursor.at
    const key = yield* readText(cursor, mostKeyBytes)
    if (metadata.has(key)) throw new FormatError(at, `a second '${shown(key)}' in the metadata`, fetchAgain)
    metadata.set(key, yield* readValue(cursor, { type: yield* cursor.u32(), kept, depth: 0 }))
  }

  const tensors: GgufTensor[] = []
  for (let i = 0; i < tensorCount; i++) tensors.push(yield* readTensor(cursor))
  const dataAt = alignUp(cursor.at, alignmentOf(metadata))
  checkPlaces(tensors, { alignment: alignmentOf(metadata), dataAt, size })
  return { version, byteOrder, metadata, tensors, dataAt }
}

function* readVersion(cursor: Cursor): Reading<{ version: number; byteOrder: 'little' | 'big' }> {
  const magic = textOf(yield* cursor.take(4))
  if (magic !== 'GGUF')
    throw new FormatError(0, `no GGUF file: it starts with ${JSON.stringify(shown(magic))}`, 'Name a file that is one.')
  const view = yield* cursor.view(4)
  const [little, big] = [view.getUint32(0, true), view.getUint32(0, false)]
  cursor.bigEndian = (little & 0xffff) === 0 && big > 0 && big <= 0xffff
  const version = cursor.bigEndian ? big : little
  if (version === 1)
    throw new FormatError(
      4,
      'GGUF version 1, which was in use for some days of August 2023 and which no engine reads any more',
      'Take a newer file of this model, or make one from its safetensors with llama.cpp’s convert_hf_to_gguf.py.',
    )
  if (version !== 2 && version !== 3)
    throw new FormatError(
      4,
      `GGUF version ${version}, and versions 2 and 3 are known here`,
      version > 3 && version < 100 ? 'Take a newer Holdfast, or an older file.' : fetchAgain,
    )
  return { version, byteOrder: cursor.bigEndian ? 'big' : 'little' }
}

/** Refused when so many could not stand in what is left of the file. */
function* readCount(
  cursor: Cursor,
  { what, most, leastBytes }: { what: string; most: number; leastBytes: number },
): Reading<number> {
  const at = cursor.at
  const count = yield* cursor.u64()
  if (count > most || count * leastBytes > cursor.size - cursor.at)
    throw new FormatError(at, `${count} ${what} are announced, more than this file can hold`, fetchAgain)
  return count
}

function* readText(cursor: Cursor, mostBytes: number): Reading<string> {
  const at = cursor.at
  const bytes = yield* cursor.u64()
  if (bytes > mostBytes) throw new FormatError(at, `a text of ${bytes} bytes, more than ${mostBytes}`, fetchAgain)
  return textOf(yield* cursor.take(bytes))
}

type Place = { type: number; kept: { bytes: number }; depth: number }

function* readValue(cursor: Cursor, { type, kept, depth }: Place): Reading<GgufValue> {
  const number = numbers[type] ?? null
  if (number !== null) return number.read(yield* cursor.view(number.bytes), !cursor.bigEndian)
  if (type === text) {
    const at = cursor.at
    const value = yield* readText(cursor, mostTextBytes)
    kept.bytes += value.length
    if (kept.bytes > mostKeptBytes)
      throw new FormatError(at, `more than ${mostKeptBytes} bytes of texts in the metadata`, fetchAgain)
    return value
  }
  if (type === list) return yield* readList(cursor, { kept, depth })
  throw new FormatError(cursor.at - 4, `a value of unknown type ${type} in the metadata`, fetchAgain)
}

function* readList(cursor: Cursor, { kept, depth }: Omit<Place, 'type'>): Reading<GgufList> {
  if (depth >= deepestList)
    throw new FormatError(cursor.at, `lists nested deeper than ${deepestList} levels`, fetchAgain)
  const type = yield* cursor.u32()
  const number = numbers[type] ?? null
  const leastBytes = number?.bytes ?? (type === list ? 12 : 8)
  const count = yield* readCount(cursor, { what: 'items of a list', most: Number.MAX_SAFE_INTEGER, leastBytes })
  if (number !== null && count > mostKeptItems) {
    cursor.seek(cursor.at + count * number.bytes)
    return { count, items: null }
  }
  if (type === text && count > mostKeptItems) {
    yield* skipTexts(cursor, count)
    return { count, items: null }
  }
  const items: (number | boolean | string)[] = []
  for (let i = 0; i < count; i++) {
    const item = yield* readValue(cursor, { type, kept, depth: depth + 1 })
    if (typeof item !== 'object') items.push(item)
  }
  return { count, items: type === list ? null : items }
}

/** Vocabularies have 250,000 tokens and their merges as many pairs: read through, kept none. */
function* skipTexts(cursor: Cursor, count: number): Reading<void> {
  for (let i = 0; i < count; i++) {
    const at = cursor.at
    const bytes = yield* cursor.u64()
    if (bytes > mostTextBytes) throw new FormatError(at, `a token of ${bytes} bytes`, fetchAgain)
    cursor.seek(cursor.at + bytes)
  }
}

function* readTensor(cursor: Cursor): Reading<GgufTensor> {
  const at = cursor.at
  const name = yield* readText(cursor, mostKeyBytes)
  const dimensions = yield* cursor.u32()
  if (dimensions > mostDimensions)
    throw new FormatError(at, `the tensor '${shown(name)}' has ${dimensions} dimensions; at most 4 exist`, fetchAgain)
  const shape: number[] = []
  for (let i = 0; i < dimensions; i++) shape.push(yield* cursor.u64())
  const values = shape.reduce((product, length) => product * length, 1)
  const typeNumber = yield* cursor.u32()
  const offset = yield* cursor.u64()
  if (values > Number.MAX_SAFE_INTEGER || offset > Number.MAX_SAFE_INTEGER)
    throw new FormatError(at, `the tensor '${shown(name)}' is larger than anything that exists`, fetchAgain)
  const type = ggmlType(typeNumber)
  if (type === null)
    return { name, shape, type: `${unknownType}${typeNumber}`, values, bytes: 0, estimated: true, offset }
  const row = shape[0] ?? 1
  if (row % type.values !== 0)
    throw new FormatError(
      at,
      `the tensor '${shown(name)}' has rows of ${row} values, and ${type.name} comes in blocks of ${type.values}`,
      fetchAgain,
    )
  return { name, shape, type: type.name, values, bytes: (values / type.values) * type.bytes, estimated: false, offset }
}

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get('general.alignment') ?? 32
  const good = typeof alignment === 'number' && alignment >= 1 && alignment <= 2 ** 20 && Math.log2(alignment) % 1 === 0
  if (!good) throw new FormatError(null, `general.alignment is no power of two up to 2^20`, fetchAgain)
  return alignment
}

const alignUp = (at: number, alignment: number): number => Math.ceil(at / alignment) * alignment

/** Tensors lie one behind the other, whole, inside the file. Those of unknown type get what is between. */
function checkPlaces(
  tensors: GgufTensor[],
  { alignment, dataAt, size }: { alignment: number; dataAt: number; size: number },
): void {
  const inOrder = tensors.toSorted((a, b) => a.offset - b.offset)
  for (const [i, tensor] of inOrder.entries()) {
    const { name, offset } = tensor
    const next = inOrder[i + 1]
    if (offset % alignment !== 0)
      throw new FormatError(null, `the tensor '${shown(name)}' is not aligned to ${alignment} bytes`, fetchAgain)
    if (tensor.estimated) tensor.bytes = Math.max(0, (next?.offset ?? size - dataAt) - offset)
    if (tensor.bytes === Infinity) tensor.bytes = tensor.values
    if (next !== undefined && offset + tensor.bytes > next.offset)
      throw new FormatError(
        dataAt + next.offset,
        `the tensors '${shown(name)}' and '${shown(next.name)}' overlap`,
        fetchAgain,
      )
    if (dataAt + offset + tensor.bytes > size)
      throw new FormatError(
        dataAt + offset,
        `the tensor '${shown(name)}' ends at byte ${dataAt + offset + tensor.bytes} and the file at byte ${size}`,
        'It is not whole: fetch it again.',
      )
  }
}
