/** ONNX: the tensors, inputs and operators of a graph; their values are passed over. Source: onnx/onnx.proto. */
import { openCursor, type Cursor } from './cursor.ts'
import { openFields, type Field, type Fields } from './protobuf.ts'
import { fetchAgain, FormatError, shown, type Reading } from './reading.ts'
import type { StoredTensor } from './safetensors.ts'

export type OnnxModel = {
  irVersion: number
  producer: string | null
  opsets: { domain: string; version: number }[]
  tensors: StoredTensor[]
  /** Files beside it that hold tensors. */
  externalFiles: string[]
  inputs: { name: string; shape: (number | null)[] }[]
  operators: ReadonlyMap<string, number>
  /** Of com.microsoft's GroupQueryAttention and MultiHeadAttention. */
  attentionHeads: { heads: number | null; kvHeads: number | null }
  metadata: ReadonlyMap<string, string>
}

const mostReadBytes = 256 * 1024 * 1024
const mostTensors = 262_144
const mostInputs = 16_384
const mostOperators = 4096

/** `TensorProto.DataType`: its name and bits. */
const types = new Map<number, { name: string; bits: number }>([
  [1, { name: 'F32', bits: 32 }],
  [2, { name: 'U8', bits: 8 }],
  [3, { name: 'I8', bits: 8 }],
  [4, { name: 'U16', bits: 16 }],
  [5, { name: 'I16', bits: 16 }],
  [6, { name: 'I32', bits: 32 }],
  [7, { name: 'I64', bits: 64 }],
  [9, { name: 'BOOL', bits: 8 }],
  [10, { name: 'F16', bits: 16 }],
  [11, { name: 'F64', bits: 64 }],
  [12, { name: 'U32', bits: 32 }],
  [13, { name: 'U64', bits: 64 }],
  [16, { name: 'BF16', bits: 16 }],
  [17, { name: 'F8_E4M3', bits: 8 }],
  [18, { name: 'F8_E4M3', bits: 8 }],
  [19, { name: 'F8_E5M2', bits: 8 }],
  [20, { name: 'F8_E5M2', bits: 8 }],
  [21, { name: 'U4', bits: 4 }],
  [22, { name: 'I4', bits: 4 }],
  [23, { name: 'F4', bits: 4 }],
])

type Draft = {
  irVersion: number
  producer: string | null
  opsets: OnnxModel['opsets']
  tensors: StoredTensor[]
  externalFiles: Set<string>
  inputs: OnnxModel['inputs']
  operators: Map<string, number>
  attentionHeads: OnnxModel['attentionHeads']
  metadata: Map<string, string>
  graphs: number
}

/** Throws FormatError. `size`: of the file; Infinity when nobody knows. */
export function* readOnnx(size: number): Reading<OnnxModel> {
  const cursor = openCursor({ size, mostBytes: mostReadBytes })
  const draft: Draft = {
    irVersion: 0,
    producer: null,
    opsets: [],
    tensors: [],
    externalFiles: new Set(),
    inputs: [],
    operators: new Map(),
    attentionHeads: { heads: null, kvHeads: null },
    metadata: new Map(),
    graphs: 0,
  }
  if (size === Infinity)
    throw new FormatError(
      null,
      'an ONNX file whose length nobody tells can’t be read to its end',
      'Fetch the file first.',
    )
  yield* readModel({ cursor, fields: openFields(cursor), draft })
  if (draft.graphs === 0 || draft.irVersion === 0)
    throw new FormatError(
      null,
      'no ONNX file: it has no graph, or no version of the format',
      'Name a file that is one.',
    )
  const { graphs: _, externalFiles, ...model } = draft
  return { ...model, externalFiles: [...externalFiles].toSorted() }
}

type Reader = { cursor: Cursor; fields: Fields; draft: Draft }

function* readModel(reader: Reader): Reading<void> {
  const { cursor, fields, draft } = reader
  yield* fields.each(cursor.size, function* (field) {
    if (field.number === 1) draft.irVersion = field.value
    if (field.number === 2) draft.producer = shown(yield* fields.text(field))
    if (field.number === 7) {
      draft.graphs++
      yield* readGraph(reader, field)
    }
    if (field.number === 8 && draft.opsets.length < 100) draft.opsets.push(yield* readOpset(reader, field))
    if (field.number === 14) {
      const [key, value] = yield* readPair(reader, field)
      if (draft.metadata.size < 1000) draft.metadata.set(key, value)
    }
  })
}

function* readGraph(reader: Reader, graph: Field): Reading<void> {
  const { fields, draft } = reader
  yield* fields.each(graph.at + graph.bytes, function* (field) {
    if (field.number === 1) yield* readNode(reader, field)
    if (field.number === 5) yield* readTensor(reader, field)
    if (field.number === 11) {
      if (draft.inputs.length >= mostInputs)
        throw new FormatError(field.at, `more than ${mostInputs} inputs`, fetchAgain)
      draft.inputs.push(yield* readInput(reader, field))
    }
  })
}

function* readNode(reader: Reader, node: Field): Reading<void> {
  const { fields, draft } = reader
  let operator = ''
  const numbers = new Map<string, number>()
  yield* fields.each(node.at + node.bytes, function* (field) {
    if (field.number === 4) operator = shown(yield* fields.text(field))
    if (field.number === 5) yield* readAttribute(reader, { attribute: field, numbers })
  })
  if (draft.operators.size < mostOperators || draft.operators.has(operator))
    draft.operators.set(operator, (draft.operators.get(operator) ?? 0) + 1)
  if (!/^(GroupQueryAttention|MultiHeadAttention|Attention)$/.test(operator)) return
  const heads = numbers.get('num_heads') ?? numbers.get('q_num_heads') ?? null
  draft.attentionHeads = { heads, kvHeads: numbers.get('kv_num_heads') ?? heads }
}

/** Constants stand in attributes as tensors; branches and loops as graphs, which count as part of this one. */
function* readAttribute(
  reader: Reader,
  { attribute, numbers }: { attribute: Field; numbers: Map<string, number> },
): Reading<void> {
  const { fields } = reader
  let name = ''
  yield* fields.each(attribute.at + attribute.bytes, function* (field) {
    if (field.number === 1) name = yield* fields.text(field)
    if (field.number === 3 && numbers.size < 100) numbers.set(name, field.value)
    if (field.number === 5 && field.bytes > 0) yield* readTensor(reader, field)
    if (field.number === 6 && field.bytes > 0) yield* readGraph(reader, field)
  })
}

function* readTensor({ fields, draft }: Reader, tensor: Field): Reading<void> {
  const shape: number[] = []
  let type = 0
  let name = ''
  let external: string | null = null
  yield* fields.each(tensor.at + tensor.bytes, function* (field) {
    if (field.number === 1) shape.push(...(yield* fields.numbers(field)))
    if (field.number === 2) type = field.value
    if (field.number === 8) name = yield* fields.text(field)
    if (field.number === 13) {
      let key = ''
      yield* fields.each(field.at + field.bytes, function* (part) {
        if (part.number === 1) key = yield* fields.text(part)
        if (part.number === 2 && key === 'location') external = yield* fields.text(part)
      })
    }
    if (shape.length > 64) throw new FormatError(field.at, 'a tensor of more than 64 dimensions', fetchAgain)
  })
  const known = types.get(type)
  const values = shape.reduce((product, length) => product * length, 1)
  const bytes = Math.ceil((values * (known?.bits ?? 8)) / 8)
  if (!Number.isSafeInteger(values) || !Number.isSafeInteger(bytes))
    throw new FormatError(tensor.at, `the tensor '${shown(name)}' is larger than anything that exists`, fetchAgain)
  if (external === null && bytes > tensor.bytes * 64 + 64)
    throw new FormatError(
      tensor.at,
      `the tensor '${shown(name)}' has ${values} values and stands in ${tensor.bytes} bytes`,
      fetchAgain,
    )
  if (external !== null && draft.externalFiles.size < 1000) draft.externalFiles.add(shown(external))
  if (draft.tensors.length >= mostTensors)
    throw new FormatError(tensor.at, `more than ${mostTensors} tensors`, fetchAgain)
  draft.tensors.push({ name, shape, type: known?.name ?? `type ${type}`, values, bytes })
}

/** ValueInfoProto: its name, and its type's shape; `null` for lengths that are decided later. */
function* readInput({ fields }: Reader, input: Field): Reading<OnnxModel['inputs'][number]> {
  let name = ''
  const shape: (number | null)[] = []
  const inside = (field: Field, visit: (field: Field) => Reading<void>) => fields.each(field.at + field.bytes, visit)
  yield* inside(input, function* (field) {
    if (field.number === 1) name = yield* fields.text(field)
    if (field.number !== 2) return
    yield* inside(field, function* (type) {
      if (type.number !== 1) return
      yield* inside(type, function* (tensor) {
        if (tensor.number !== 2) return
        yield* inside(tensor, function* (dimension) {
          if (dimension.number !== 1 || shape.length >= 16) return
          let length: number | null = null
          yield* inside(dimension, function* (part) {
            if (part.number === 1) length = part.value
          })
          shape.push(length)
        })
      })
    })
  })
  return { name: shown(name), shape }
}

function* readOpset({ fields }: Reader, opset: Field): Reading<OnnxModel['opsets'][number]> {
  let domain = ''
  let version = 0
  yield* fields.each(opset.at + opset.bytes, function* (field) {
    if (field.number === 1) domain = shown(yield* fields.text(field))
    if (field.number === 2) version = field.value
  })
  return { domain: domain === '' ? 'ai.onnx' : domain, version }
}

function* readPair({ fields }: Reader, pair: Field): Reading<[string, string]> {
  let key = ''
  let value = ''
  yield* fields.each(pair.at + pair.bytes, function* (field) {
    if (field.number === 1) key = yield* fields.text(field)
    if (field.number === 2) value = yield* fields.text(field)
  })
  return [key, value]
}
