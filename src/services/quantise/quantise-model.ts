/** Makes a quantised file: looks at what there is, foresees what it will be, writes it whole or not at all, and inspects it. */
import {
  ArtifactError,
  spellQuantisation,
  type ListedFile,
  type ModelReport,
  type Quantisation,
} from '../../domain/catalog/index.ts'
import type { Inspection } from '../inspect-model.ts'
import type { FallBack, NewFile, Quantiser, QuantiseOrder } from './ports.ts'

export type Quantised = {
  made: Inspection
  /** What llama.cpp gave another type than the quantisation says, because their rows do not divide. */
  fallBacks: readonly FallBack[]
}

export type Quantising = {
  /** What the input is, and where its first file lies. */
  input: { inspection: Inspection; path: string }
  to: Quantisation
  threads: number
  requantise: boolean
  importance: QuantiseOrder['importance']
  quantiser: Quantiser
  output: NewFile
  inspect: (path: string) => Promise<Inspection>
  signal: AbortSignal
  onTensor: (at: number, of: number) => void
}

/** Header and padding beside the tensors, where the input does not tell. */
const spareBytes = 1024 * 1024

/** Rejects with an ArtifactError that says why not, or with the signal's reason. Nothing is left behind then. */
export async function quantiseModel(asked: Quantising): Promise<Quantised> {
  const { input, to, quantiser, output, signal } = asked
  try {
    checkInput(input.inspection, asked)
    const order: QuantiseOrder = {
      from: input.path,
      to: output.temporary,
      as: to,
      threads: asked.threads,
      requantise: asked.requantise,
      importance: asked.importance,
    }
    const foreseen = await quantiser.foresee(order, signal)
    if (foreseen.importanceWanted && asked.importance === null) throw importanceWanted(to, quantiser)
    await checkRoom(output, foreseen.bytes + headerBytes(input.inspection))
    await quantiser.quantise(order, { signal, onTensor: asked.onTensor })
    // As it is on the disk, before anybody can take it for whole.
    const made = await asked.inspect(output.temporary)
    await output.publish()
    const files = made.files.map((file): ListedFile => ({ ...file, path: nameOf(output.path) }))
    return { made: { ...made, source: output.path, files }, fallBacks: foreseen.fallBacks }
  } finally {
    await output.discard()
  }
}

async function checkRoom(output: NewFile, bytes: number): Promise<void> {
  const free = await output.free()
  if (free === null || free >= bytes) return
  throw new ArtifactError(
    'later',
    `${output.path} will take ${bytes} bytes, and ${free} are free there: make room, or name another place with --out`,
  )
}

function checkInput({ format, tensorTypes, source }: Inspection, { to, requantise, quantiser }: Quantising): void {
  if (format !== 'gguf')
    throw new ArtifactError(
      'never',
      `${source} is ${format}, and llama.cpp quantises GGUF: make one with its convert_hf_to_gguf.py first, or take a GGUF of this model`,
    )
  if (!quantiser.makes.includes(to))
    throw new ArtifactError(
      'never',
      `llama.cpp does not make ${spellQuantisation(to)}; it makes ${quantiser.makes.map(spellQuantisation).join(', ')}`,
    )
  const quantised = quantisedTypes(tensorTypes)
  if (quantised.length > 0 && !requantise)
    throw new ArtifactError(
      'never',
      `${source} is quantised already (${quantised.join(', ')}): what was rounded away does not come back, and rounding again costs more quality than quantising the original. Take its F16 or BF16 file, or say --allow-requantise`,
    )
}

const plainTypes = new Set(['F32', 'F16', 'BF16', 'F64', 'I8', 'I16', 'I32', 'I64'])

const quantisedTypes = (types: ModelReport['tensorTypes']): string[] =>
  types.map(({ type }) => type).filter(type => !plainTypes.has(type.toUpperCase()))

function headerBytes({ bytes, tensorTypes }: Inspection): number {
  const tensors = tensorTypes.reduce((sum, each) => sum + each.bytes, 0)
  return Math.max(0, bytes - tensors) + spareBytes
}

const importanceWanted = (to: Quantisation, quantiser: Quantiser): ArtifactError => {
  const without = quantiser.makes.filter(each => !/^(iq[12]|iq3-x|q2-k-s|tq)/.test(each)).map(spellQuantisation)
  return new ArtifactError(
    'never',
    `${spellQuantisation(to)} of this model is garbage without a file of importance (how much each input of each tensor matters, measured with llama.cpp’s llama-imatrix): name one with --imatrix, or take one that needs none: ${without.join(', ')}`,
  )
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)
