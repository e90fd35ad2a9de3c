/** Safetensors: the header of one file, and the index of a model in several. Source: huggingface/safetensors, README.md. */
import { openCursor } from './cursor.ts'
import { fetchAgain, FormatError, shown, type Reading } from './reading.ts'
import { countIn, isRecord, parseJson, textIn } from './text.ts'

export type SafetensorsHeader = {
  tensors: StoredTensor[]
  metadata: ReadonlyMap<string, string>
}

/** A tensor as a file stores it; packed weights have fewer values in it than in the model. */
export type StoredTensor = { name: string; shape: number[]; type: string; values: number; bytes: number }

/** The format allows 100 MB; the largest models, in one file, need less than 10. */
const mostHeaderBytes = 64 * 1024 * 1024
const bounds = { depth: 4, values: 4_000_000 }
const mostDimensions = 8

/** Bits of one value. */
const types = new Map<string, number>([
  ['BOOL', 8],
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['U8', 8],
  ['I8', 8],
  ['F8_E5M2', 8],
  ['F8_E4M3', 8],
  ['F8_E8M0', 8],
  ['I16', 16],
  ['U16', 16],
  ['F16', 16],
  ['BF16', 16],
  ['I32', 32],
  ['U32', 32],
  ['F32', 32],
  ['C64', 64],
  ['F64', 64],
  ['I64', 64],
  ['U64', 64],
])

/** Throws FormatError. `size`: of the file; Infinity when nobody knows. */
export function* readSafetensors(size: number): Reading<SafetensorsHeader> {
  const cursor = openCursor({ size, mostBytes: mostHeaderBytes + 2 ** 23 })
  const headerBytes = yield* cursor.u64()
  if (headerBytes > mostHeaderBytes)
    throw new FormatError(0, `a header of ${headerBytes} bytes; at most ${mostHeaderBytes} are read`, fetchAgain)
  const header = parseJson(yield* cursor.take(headerBytes), bounds)
  if (!isRecord(header)) throw new FormatError(8, 'the header is no JSON object', fetchAgain)
  const metadata = new Map<string, string>()
  const placed: (StoredTensor & { begin: number; end: number })[] = []
  for (const [name, value] of Object.entries(header)) {
    if (name !== '__metadata__') placed.push(toTensor(name, value))
    else if (isRecord(value))
      for (const [key, text] of Object.entries(value)) if (typeof text === 'string') metadata.set(key, text)
  }
  checkPlaces(placed, { dataAt: 8 + headerBytes, size })
  return {
    tensors: placed.map(({ name, shape, type, values, bytes }) => ({ name, shape, type, values, bytes })),
    metadata,
  }
}

/** The files of `model.safetensors.index.json` or `pytorch_model.bin.index.json`, each once. Throws FormatError. */
export function shardsIn(index: unknown): string[] {
  const map = isRecord(index) ? index['weight_map'] : undefined
  if (!isRecord(map)) throw new FormatError(null, 'the index has no weight_map', fetchAgain)
  const files = new Set(Object.values(map).map(file => textIn(file) ?? ''))
  for (const file of files)
    if (!/^[^/\\\p{C}]+$/u.test(file) || file === '..' || file === '.')
      throw new FormatError(
        null,
        `the index names ${JSON.stringify(shown(file))}, which is no file beside it`,
        fetchAgain,
      )
  if (files.size > 4096) throw new FormatError(null, `the index names ${files.size} files`, fetchAgain)
  return [...files].toSorted()
}

function toTensor(name: string, value: unknown): StoredTensor & { begin: number; end: number } {
  const no = (problem: string) => new FormatError(null, `the tensor '${shown(name)}' ${problem}`, fetchAgain)
  if (!isRecord(value)) throw no('is described by no object')
  const type = textIn(value['dtype']) ?? ''
  const bits = types.get(type)
  const shape = Array.isArray(value['shape']) ? value['shape'].map(countIn) : null
  const [begin = null, end = null] = Array.isArray(value['data_offsets']) ? value['data_offsets'].map(countIn) : []
  if (shape === null || shape.length > mostDimensions || !shape.every(length => length !== null))
    throw no(`has no shape of up to ${mostDimensions} whole numbers`)
  if (begin === null || end === null || end < begin) throw no('has no data_offsets of two whole numbers in order')
  const values = shape.reduce((product, length) => product * length, 1)
  if (!Number.isSafeInteger(values)) throw no('is larger than anything that exists')
  const bytes = end - begin
  if (bits !== undefined && Math.ceil((values * bits) / 8) !== bytes)
    throw no(`has ${values} values of ${type}, which are no ${bytes} bytes`)
  return { name, shape, type: type === '' ? 'unknown' : shown(type), values, bytes, begin, end }
}

/** One behind the other, without a gap, to the end of the file: the format's own rule. */
function checkPlaces(
  tensors: { name: string; begin: number; end: number }[],
  { dataAt, size }: { dataAt: number; size: number },
): void {
  let last = 0
  for (const { name, begin, end } of tensors.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < last) throw new FormatError(dataAt + begin, `the tensor '${shown(name)}' overlaps another`, fetchAgain)
    if (begin > last)
      throw new FormatError(
        dataAt + last,
        `${begin - last} bytes before '${shown(name)}' belong to no tensor`,
        fetchAgain,
      )
    last = end
  }
  if (size === Infinity || dataAt + last === size) return
  throw dataAt + last > size
    ? new FormatError(
        size,
        `the tensors end at byte ${dataAt + last} and the file at ${size}`,
        'It is not whole: fetch it again.',
      )
    : new FormatError(dataAt + last, `${size - dataAt - last} bytes after the last tensor belong to none`, fetchAgain)
}
