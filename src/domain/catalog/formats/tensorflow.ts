/**
 * TensorFlow: saved_model.pb, and the index of a checkpoint, which is a sorted table of names. Sources:
 * tensorflow/core/protobuf/{saved_model,meta_graph,tensor_bundle,saved_tensor_slice}.proto; leveldb's doc/table_format.md.
 */
import { openCursor } from './cursor.ts'
import { openFields, visitMessage, type Field, type Fields } from './protobuf.ts'
import { fetchAgain, FormatError, shown, type Reading } from './reading.ts'
import type { StoredTensor } from './safetensors.ts'
import { textOf } from './text.ts'

export type SavedModel = { version: string | null; tags: string[]; signatures: string[]; metaGraphs: number }

const mostReadBytes = 256 * 1024 * 1024

/** Throws FormatError. */
export function* readSavedModel(size: number): Reading<SavedModel> {
  const cursor = openCursor({ size, mostBytes: mostReadBytes })
  const fields = openFields(cursor)
  const model: SavedModel = { version: null, tags: [], signatures: [], metaGraphs: 0 }
  const inside = (field: Field, visit: (field: Field) => Reading<void>) => fields.each(field.at + field.bytes, visit)
  if (size === Infinity)
    throw new FormatError(
      null,
      'a saved_model.pb whose length nobody tells can’t be read to its end',
      'Fetch the file first.',
    )
  yield* fields.each(size, function* (field) {
    if (field.number !== 2) return
    model.metaGraphs++
    yield* inside(field, function* (part) {
      if (part.number === 1)
        yield* inside(part, function* (info) {
          if (info.number === 4 && model.tags.length < 100) model.tags.push(shown(yield* fields.text(info)))
          if (info.number === 5) model.version = shown(yield* fields.text(info))
        })
      if (part.number === 5)
        yield* inside(part, function* (entry) {
          if (entry.number === 1 && model.signatures.length < 100)
            model.signatures.push(shown(yield* fields.text(entry)))
        })
    })
  })
  if (model.metaGraphs === 0)
    throw new FormatError(null, 'no SavedModel: it has no graph', 'Name the folder that tf.saved_model.save wrote.')
  return model
}

/** `types.proto`: its name and bytes. */
const types = new Map<number, { name: string; bytes: number }>([
  [1, { name: 'F32', bytes: 4 }],
  [2, { name: 'F64', bytes: 8 }],
  [3, { name: 'I32', bytes: 4 }],
  [4, { name: 'U8', bytes: 1 }],
  [5, { name: 'I16', bytes: 2 }],
  [6, { name: 'I8', bytes: 1 }],
  [9, { name: 'I64', bytes: 8 }],
  [10, { name: 'BOOL', bytes: 1 }],
  [14, { name: 'BF16', bytes: 2 }],
  [19, { name: 'F16', bytes: 2 }],
])
const textType = 7

const footerBytes = 48
const mostBlockBytes = 64 * 1024 * 1024
const mostEntries = 1_000_000

/** `variables.index`, `model.ckpt.index`, or a checkpoint of TensorFlow 0.x in one file. Throws FormatError. */
export function* readCheckpoint(size: number): Reading<{ generation: 1 | 2; tensors: StoredTensor[] }> {
  if (size < footerBytes || size === Infinity)
    throw new FormatError(
      0,
      'no checkpoint: it is too short, or of unknown length',
      'Name the .index file of a checkpoint.',
    )
  const footer = yield { kind: 'bytes', at: size - footerBytes, bytes: footerBytes }
  if (!isTable(footer))
    throw new FormatError(
      size - 8,
      'no checkpoint: its end is not that of a table',
      'It is not whole, or none: fetch it again.',
    )
  const numbers = openNumbers(footer)
  numbers.next()
  numbers.next()
  const index = yield* readBlock({ at: numbers.next(), bytes: numbers.next() }, size)
  const tensors: StoredTensor[] = []
  let generation: 1 | 2 = 2
  let seen = 0
  for (const { value: handle } of entriesOf(index)) {
    const place = openNumbers(handle)
    const block = yield* readBlock({ at: place.next(), bytes: place.next() }, size)
    for (const { key, value } of entriesOf(block)) {
      if (++seen > mostEntries) throw new FormatError(null, `more than ${mostEntries} entries`, fetchAgain)
      if (key.length > 0) {
        if (generation === 2) addTensor(tensors, toBundleTensor(textOf(key), value))
        continue
      }
      const old = oldTensors(value)
      if (old.length > 0) generation = 1
      for (const tensor of old) addTensor(tensors, tensor)
    }
    // All that a first-generation file says stands in its first entry; the rest are values.
    if (generation === 1) break
  }
  return { generation, tensors }
}

/** Whether a file's last bytes are a sorted table's. */
export const isTable = (tail: Uint8Array): boolean =>
  [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb].every((byte, i) => tail[tail.length - 8 + i] === byte)

function addTensor(tensors: StoredTensor[], tensor: StoredTensor | null): void {
  if (tensor === null) return
  if (!Number.isSafeInteger(tensor.values) || !Number.isSafeInteger(tensor.bytes))
    throw new FormatError(null, `the tensor '${shown(tensor.name)}' is larger than anything that exists`, fetchAgain)
  tensors.push(tensor)
}

function* readBlock({ at, bytes }: { at: number; bytes: number }, size: number): Reading<Uint8Array> {
  if (bytes > mostBlockBytes || at + bytes + 5 > size)
    throw new FormatError(at, `a block of ${bytes} bytes in a file of ${size}`, fetchAgain)
  const block = yield { kind: 'bytes', at, bytes: bytes + 1 }
  if (block.length < bytes + 1) throw new FormatError(at, 'the table ends here', 'It is not whole: fetch it again.')
  if (block[bytes] !== 0)
    throw new FormatError(
      at,
      'a packed block',
      'TensorFlow writes none: save the model again with a current TensorFlow.',
    )
  return block.subarray(0, bytes)
}

/** Keys share their beginnings with the one before. */
function* entriesOf(block: Uint8Array): Generator<{ key: Uint8Array; value: Uint8Array }> {
  if (block.length < 4) throw new FormatError(null, 'a block without its end', fetchAgain)
  const restarts = new DataView(block.buffer, block.byteOffset, block.byteLength).getUint32(block.length - 4, true)
  const end = block.length - 4 - restarts * 4
  if (end < 0) throw new FormatError(null, 'a block whose end is longer than itself', fetchAgain)
  const numbers = openNumbers(block.subarray(0, end))
  let key = new Uint8Array(0)
  while (!numbers.done()) {
    const [shared, own, valueBytes] = [numbers.next(), numbers.next(), numbers.next()]
    if (shared > key.length || own > 65_536) throw new FormatError(null, 'a key that can’t be', fetchAgain)
    const longer = new Uint8Array(shared + own)
    longer.set(key.subarray(0, shared))
    longer.set(numbers.take(own), shared)
    key = longer
    yield { key, value: numbers.take(valueBytes) }
  }
}

function openNumbers(bytes: Uint8Array) {
  let at = 0
  const cut = () => new FormatError(null, 'a number or a text of the table is cut', fetchAgain)
  return {
    done: () => at >= bytes.length,
    take(count: number): Uint8Array {
      if (at + count > bytes.length) throw cut()
      at += count
      return bytes.subarray(at - count, at)
    },
    next(): number {
      let value = 0
      for (let i = 0, weight = 1; i < 10; i++, weight *= 128) {
        const byte = bytes[at++]
        if (byte === undefined) throw cut()
        value += (byte & 0x7f) * weight
        if (byte < 0x80) return value
      }
      throw cut()
    },
  }
}

/** BundleEntryProto. Texts are no parameters. */
function toBundleTensor(name: string, message: Uint8Array): StoredTensor | null {
  let type = 0
  let shape: number[] = []
  let bytes = 0
  visitMessage(message, function* (field, fields) {
    if (field.number === 1) type = field.value
    if (field.number === 2) shape = yield* readShape(field, fields)
    if (field.number === 5) bytes = field.value
  })
  if (type === textType) return null
  return { name: cleanName(name), shape, ...sized(type, shape), bytes }
}

/** SavedTensorSlices. Empty: it is none, but the header of a bundle. */
function oldTensors(message: Uint8Array): StoredTensor[] {
  const tensors: StoredTensor[] = []
  visitMessage(message, function* (slices, fields) {
    if (slices.number !== 1 || slices.bytes === 0) return
    yield* fields.each(slices.at + slices.bytes, function* (meta) {
      if (meta.number !== 1) return
      let name = ''
      let shape: number[] = []
      let type = 0
      yield* fields.each(meta.at + meta.bytes, function* (part) {
        if (part.number === 1) name = yield* fields.text(part)
        if (part.number === 2) shape = yield* readShape(part, fields)
        if (part.number === 3) type = part.value
      })
      if (type !== textType) tensors.push({ name, shape, ...sized(type, shape) })
    })
  })
  return tensors
}

function* readShape(shape: Field, fields: Fields): Reading<number[]> {
  const lengths: number[] = []
  yield* fields.each(shape.at + shape.bytes, function* (dimension) {
    if (dimension.number !== 2 || lengths.length >= 16) return
    yield* fields.each(dimension.at + dimension.bytes, function* (part) {
      if (part.number === 1) lengths.push(part.value)
    })
  })
  return lengths
}

function sized(type: number, shape: readonly number[]): { type: string; values: number; bytes: number } {
  const known = types.get(type) ?? { name: `type ${type}`, bytes: 1 }
  const values = shape.reduce((product, length) => product * length, 1)
  return { type: known.name, values, bytes: values * known.bytes }
}

/** `layer/kernel/.ATTRIBUTES/VARIABLE_VALUE`. */
const cleanName = (name: string): string => name.replace(/\/\.ATTRIBUTES\/VARIABLE_VALUE$/, '')
