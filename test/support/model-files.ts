/** Writers of model files: small ones of every format, for tests that read their headers. */
import { crc32, deflateRawSync } from 'node:zlib'

export type GgufDraft = {
  version?: number
  bigEndian?: boolean
  metadata?: Record<string, GgufDraftValue>
  /** Type by number; data of `bytes` zeros, where they are needed. */
  tensors?: { name: string; shape: number[]; type: number; bytes: number; offset?: number }[]
  /** Whether the tensors' bytes follow. */
  data?: boolean
}

/** Numbers become u32, unless they say otherwise. */
export type GgufDraftValue =
  | number
  | boolean
  | string
  | string[]
  | number[]
  | boolean[]
  | { u64: bigint }
  | { f32: number }
  | Buffer

const alignment = 32

export function writeGguf({
  version = 3,
  bigEndian = false,
  metadata = {},
  tensors = [],
  data = true,
}: GgufDraft): Buffer {
  const u32 = (value: number): Buffer => number(4, view => view.setUint32(0, value, !bigEndian))
  const u64 = (value: number | bigint): Buffer => number(8, view => view.setBigUint64(0, BigInt(value), !bigEndian))
  const text = (value: string): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)])

  /** In one piece: vocabularies are long. */
  function texts(values: readonly string[]): Buffer {
    const all = Buffer.alloc(values.reduce((sum, value) => sum + 8 + Buffer.byteLength(value), 0))
    let at = 0
    for (const value of values) {
      const bytes = Buffer.byteLength(value)
      if (bigEndian) all.writeUInt32BE(bytes, at + 4)
      else all.writeUInt32LE(bytes, at)
      all.write(value, at + 8)
      at += 8 + bytes
    }
    return all
  }

  function typed(value: GgufDraftValue): Buffer[] {
    if (Buffer.isBuffer(value)) return [value]
    if (typeof value === 'number') return [u32(4), u32(value)]
    if (typeof value === 'boolean') return [u32(7), Buffer.from([value ? 1 : 0])]
    if (typeof value === 'string') return [u32(8), text(value)]
    if ('u64' in value) return [u32(10), u64(value.u64)]
    if ('f32' in value) return [u32(6), number(4, view => view.setFloat32(0, value.f32, !bigEndian))]
    if (typeof value[0] === 'string') return [u32(9), u32(8), u64(value.length), texts(value.map(String))]
    const items = value.map(item => typed(item))
    const type = items[0]?.[0] ?? u32(4)
    return [u32(9), type, u64(items.length), ...items.flatMap(item => item.slice(1))]
  }

  let next = 0
  const placed = tensors.map(tensor => {
    const offset = tensor.offset ?? next
    next = Math.ceil((offset + tensor.bytes) / alignment) * alignment
    return { ...tensor, offset }
  })
  const header = Buffer.concat([
    Buffer.from('GGUF'),
    u32(version),
    u64(tensors.length),
    u64(Object.keys(metadata).length),
    ...Object.entries(metadata).flatMap(([key, value]) => [text(key), ...typed(value)]),
    ...placed.flatMap(({ name, shape, type, offset }) => [
      text(name),
      u32(shape.length),
      ...shape.map(u64),
      u32(type),
      u64(offset),
    ]),
  ])
  const padding = Buffer.alloc((alignment - (header.length % alignment)) % alignment)
  return Buffer.concat([header, padding, ...(data ? [Buffer.alloc(next)] : [])])
}

export type TensorDraft = { name: string; type: string; shape: number[] }

const typeBits: Record<string, number> = {
  F32: 32,
  I32: 32,
  F16: 16,
  BF16: 16,
  F8_E4M3: 8,
  U8: 8,
  I8: 8,
  I64: 64,
  F8_E8M0: 8,
  BOOL: 8,
}

export const tensorBytes = ({ type, shape }: TensorDraft): number =>
  (shape.reduce((product, length) => product * length, 1) * (typeBits[type] ?? 8)) / 8

/** The header alone, and the length that the whole file would have. */
export function safetensorsHeader(
  tensors: readonly TensorDraft[],
  metadata?: Record<string, string>,
): { header: Buffer; bytes: number } {
  let at = 0
  const entries = tensors.map(tensor => {
    const begin = at
    at += tensorBytes(tensor)
    return [tensor.name, { dtype: tensor.type, shape: tensor.shape, data_offsets: [begin, at] }]
  })
  const json = Buffer.from(
    JSON.stringify({ ...(metadata === undefined ? {} : { __metadata__: metadata }), ...Object.fromEntries(entries) }),
  )
  const header = withLength(json)
  return { header, bytes: header.length + at }
}

export function writeSafetensors(tensors: readonly TensorDraft[], metadata?: Record<string, string>): Buffer {
  const { header, bytes } = safetensorsHeader(tensors, metadata)
  return Buffer.concat([header, Buffer.alloc(bytes - header.length)])
}

/** What safetensors puts before its JSON. */
export const withLength = (json: Buffer): Buffer =>
  Buffer.concat([number(8, view => view.setBigUint64(0, BigInt(json.length), true)), json])

export type ZipDraft = {
  name: string
  bytes: Buffer
  deflate?: boolean
  /** Announced instead of the true length. */ says?: number
}

export function writeZip(entries: readonly ZipDraft[]): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const { name, bytes, deflate = false, says = bytes.length } of entries) {
    const stored = deflate ? deflateRawSync(bytes) : bytes
    const common = (view: DataView, place: number): void => {
      view.setUint16(place, 20, true)
      view.setUint16(place + 4, deflate ? 8 : 0, true)
      view.setUint32(place + 10, crc32(bytes), true)
      view.setUint32(place + 14, stored.length, true)
      view.setUint32(place + 18, says, true)
      view.setUint16(place + 22, Buffer.byteLength(name), true)
    }
    const local = number(30, view => {
      view.setUint32(0, 0x04034b50, true)
      common(view, 4)
    })
    const central = number(46, view => {
      view.setUint32(0, 0x02014b50, true)
      view.setUint16(4, 20, true)
      common(view, 6)
      view.setUint32(42, at, true)
    })
    parts.push(local, Buffer.from(name), stored)
    directory.push(central, Buffer.from(name))
    at += local.length + Buffer.byteLength(name) + stored.length
  }
  const list = Buffer.concat(directory)
  const end = number(22, view => {
    view.setUint32(0, 0x06054b50, true)
    view.setUint16(8, entries.length, true)
    view.setUint16(10, entries.length, true)
    view.setUint32(12, list.length, true)
    view.setUint32(16, at, true)
  })
  return Buffer.concat([...parts, list, end])
}

/** Opcodes of Python's pickles, as few as tests need. */
export const pickle = {
  proto: (version = 2): Buffer => Buffer.from([0x80, version]),
  mark: Buffer.from('('),
  stop: Buffer.from('.'),
  reduce: Buffer.from('R'),
  tuple: Buffer.from('t'),
  emptyDict: Buffer.from('}'),
  setItems: Buffer.from('u'),
  persistentId: Buffer.from('Q'),
  global: (module: string, name: string): Buffer => Buffer.from(`c${module}\n${name}\n`),
  stackGlobal: (module: string, name: string): Buffer =>
    Buffer.concat([pickle.text(module), pickle.text(name), Buffer.from([0x93])]),
  text: (value: string): Buffer =>
    Buffer.concat([
      Buffer.from('X'),
      number(4, view => view.setUint32(0, Buffer.byteLength(value), true)),
      Buffer.from(value),
    ]),
  whole: (value: number): Buffer => Buffer.concat([Buffer.from('J'), number(4, view => view.setInt32(0, value, true))]),
  no: Buffer.from([0x89]),
}

export type TorchTensor = { name: string; shape: number[]; storage?: string; key?: string }

/** As torch.save writes a state dict: an OrderedDict of tensors, each made of a storage. `extra`: opcodes before its end. */
export function stateDict(tensors: readonly TorchTensor[], extra: Buffer = Buffer.alloc(0)): Buffer {
  const { proto, mark, tuple, reduce, global, text, whole, persistentId, no, setItems, stop } = pickle
  const collection = [global('collections', 'OrderedDict'), mark, tuple, reduce]
  const items = tensors.flatMap(({ name, shape, storage = 'HalfStorage', key }, i) => {
    const values = shape.reduce((product, length) => product * length, 1)
    return [
      text(name),
      global('torch._utils', '_rebuild_tensor_v2'),
      mark,
      ...[
        mark,
        text('storage'),
        global('torch', storage),
        text(key ?? String(i)),
        text('cpu'),
        whole(values),
        tuple,
        persistentId,
      ],
      whole(0),
      ...[mark, ...shape.map(whole), tuple],
      ...[mark, ...shape.map(() => whole(1)), tuple],
      no,
      ...[...collection],
      tuple,
      reduce,
    ]
  })
  return Buffer.concat([proto(), ...collection, mark, ...items, setItems, extra, stop])
}

export const torchArchive = (data: Buffer, more: readonly ZipDraft[] = []): Buffer =>
  writeZip([{ name: 'model/data.pkl', bytes: data }, { name: 'model/version', bytes: Buffer.from('3\n') }, ...more])

/** Protocol buffers: a field with a number, a text or a message. */
export function field(at: number, value: number | string | Buffer): Buffer {
  if (typeof value === 'number') return Buffer.concat([varint(at * 8), varint(value)])
  const bytes = Buffer.from(value)
  return Buffer.concat([varint(at * 8 + 2), varint(bytes.length), bytes])
}

export type OnnxDraft = {
  tensors: { name: string; shape: number[]; type: number; data?: Buffer; external?: string }[]
  inputs?: { name: string; shape: (number | string)[] }[]
  nodes?: { operator: string; numbers?: Record<string, number> }[]
}

export function writeOnnx({ tensors, inputs = [], nodes = [] }: OnnxDraft): Buffer {
  const graph = Buffer.concat([
    ...nodes.map(({ operator, numbers = {} }) =>
      field(
        1,
        Buffer.concat([
          field(4, operator),
          ...Object.entries(numbers).map(([name, value]) =>
            field(5, Buffer.concat([field(1, name), field(3, value), field(20, 2)])),
          ),
        ]),
      ),
    ),
    field(2, 'main'),
    ...tensors.map(({ name, shape, type, data = Buffer.alloc(0), external }) =>
      field(
        5,
        Buffer.concat([
          ...shape.map(length => field(1, length)),
          field(2, type),
          field(8, name),
          ...(external === undefined
            ? [field(9, data)]
            : [field(13, Buffer.concat([field(1, 'location'), field(2, external)])), field(14, 1)]),
        ]),
      ),
    ),
    ...inputs.map(({ name, shape }) => {
      const lengths = shape.map(length => field(1, typeof length === 'number' ? field(1, length) : field(2, length)))
      const tensor = field(1, Buffer.concat([field(1, 1), field(2, Buffer.concat(lengths))]))
      return field(11, Buffer.concat([field(1, name), field(2, tensor)]))
    }),
  ])
  return Buffer.concat([
    field(1, 8),
    field(2, 'writer'),
    field(7, graph),
    field(8, Buffer.concat([field(1, ''), field(2, 17)])),
  ])
}

export type VariableDraft = { name: string; shape: number[]; type: number; bytes: number }

/** A checkpoint's index: a table with one block of BundleEntryProtos behind the header. Names in order. */
export function writeBundle(variables: readonly VariableDraft[]): Buffer {
  const entry = ({ shape, type, bytes }: VariableDraft): Buffer =>
    Buffer.concat([field(1, type), field(2, shapeOf(shape)), field(4, 0), field(5, bytes)])
  return writeTable([['', field(1, 1)], ...variables.map((each): [string, Buffer] => [each.name, entry(each)])])
}

/** A checkpoint of the first generation: all that it says stands in its first entry. */
export function writeOldCheckpoint(variables: readonly VariableDraft[]): Buffer {
  const metas = variables.map(({ name, shape, type }) =>
    field(1, Buffer.concat([field(1, name), field(2, shapeOf(shape)), field(3, type)])),
  )
  return writeTable([['', field(1, Buffer.concat(metas))]])
}

export function writeSavedModel({
  version,
  tags,
  signatures,
}: {
  version: string
  tags: string[]
  signatures: string[]
}): Buffer {
  const info = Buffer.concat([...tags.map(tag => field(4, tag)), field(5, version)])
  const graph = Buffer.concat([
    field(1, info),
    ...signatures.map(name => field(5, Buffer.concat([field(1, name), field(2, '')]))),
  ])
  return Buffer.concat([field(1, 1), field(2, graph)])
}

const shapeOf = (shape: readonly number[]): Buffer => Buffer.concat(shape.map(length => field(2, field(1, length))))

function writeTable(entries: readonly [string, Buffer][]): Buffer {
  const data = blockOf(entries)
  const handle = Buffer.concat([varint(0), varint(data.length)])
  const index = blockOf([['~', handle]])
  const meta = blockOf([])
  const trailer = Buffer.alloc(5)
  const indexAt = data.length + 5
  const metaAt = indexAt + index.length + 5
  const handles = Buffer.concat([varint(metaAt), varint(meta.length), varint(indexAt), varint(index.length)])
  const magic = Buffer.from([0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb])
  return Buffer.concat([
    data,
    trailer,
    index,
    trailer,
    meta,
    trailer,
    handles,
    Buffer.alloc(40 - handles.length),
    magic,
  ])
}

/** Keys share what they can with the one before, as the real writer does. */
function blockOf(entries: readonly [string, Buffer][]): Buffer {
  let last = ''
  const parts = entries.map(([key, value]) => {
    let shared = 0
    while (shared < last.length && last[shared] === key[shared]) shared++
    last = key
    const own = Buffer.from(key.slice(shared))
    return Buffer.concat([varint(shared), varint(own.length), varint(value.length), own, value])
  })
  return Buffer.concat([...parts, Buffer.alloc(4), number(4, view => view.setUint32(0, 1, true))])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 128) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  return Buffer.from([...bytes, rest])
}

function number(bytes: number, write: (view: DataView) => void): Buffer {
  const buffer = Buffer.alloc(bytes)
  write(new DataView(buffer.buffer, buffer.byteOffset, bytes))
  return buffer
}
