/** A file of importance (an «imatrix», as GGUF): of each tensor, the mean square of every input that it was seen with. */
import { ArtifactError, readGguf, type GgufHeader } from '../../domain/catalog/index.ts'
import type { ModelFile, ModelPlace } from '../inspect-ports.ts'
import { openModelReader } from '../inspect-reader.ts'

const sums = '.in_sum2'
const counts = '.counts'

/** Rejects with an ArtifactError. */
export async function readImportance(
  place: ModelPlace,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Float32Array>> {
  const path = place.file ?? ''
  const reader = openModelReader(place, signal)
  const { result } = await reader.parse(path, readGguf)
  const names = result.tensors.flatMap(({ name }) => (name.endsWith(sums) ? [name.slice(0, -sums.length)] : []))
  if (result.byteOrder === 'big' || result.metadata.get('general.type') !== 'imatrix' || names.length === 0)
    throw new ArtifactError(
      'never',
      `${place.name} is no file of importance: name what llama.cpp’s llama-imatrix wrote for this model, as GGUF`,
    )
  return reader.with(path, async file => {
    const importance = new Map<string, Float32Array>()
    for (const name of names) {
      const of = { header: result, file, place }
      importance.set(name, meanSquares(await numbersOf(name + sums, of), await numbersOf(name + counts, of)))
    }
    return importance
  })
}

/** `seen`: of each expert, how many inputs went into its sums. An expert that saw none counts all its inputs alike. */
function meanSquares(summed: Float32Array, seen: Float32Array): Float32Array {
  const each = summed.length / seen.length
  return summed.map((sum, at) => {
    const times = seen[Math.floor(at / each)] ?? 0
    return times > 0 ? sum / times : 1
  })
}

type Of = { header: GgufHeader; file: ModelFile; place: ModelPlace }

async function numbersOf(name: string, { header, file, place }: Of): Promise<Float32Array> {
  const tensor = header.tensors.find(each => each.name === name)
  if (tensor === undefined || tensor.type.toUpperCase() !== 'F32')
    throw new ArtifactError('never', `${place.name}: ${name} is missing, or not of F32 numbers; make the file again`)
  const bytes = await file.read(header.dataAt + tensor.offset, tensor.bytes)
  const numbers = new Float32Array(bytes.slice().buffer)
  if (numbers.length === tensor.values && numbers.length > 0 && numbers.every(Number.isFinite)) return numbers
  throw new ArtifactError('never', `${place.name}: ${name} ends early, or holds what is no number; make the file again`)
}
