/** Choose files: which files of a whole repository make the model, and which are the same weights once more. */
import {
  ArtifactError,
  FormatError,
  parseJson,
  pickWeights,
  shardsIn,
  type HubSource,
  type ListedFile,
} from '../../domain/catalog/index.ts'

export type ChosenFiles = {
  files: ListedFile[]
  /** Told, not fetched. */
  leftOut: ListedFile[]
}

export type ChoosingParts = {
  /** A small file of the repository, once it is here. */
  readWhole: (path: string) => Promise<Uint8Array>
}

/** Formats that a repository has its weights in, beside those that engines are given. */
const weightFiles =
  /\.(safetensors|gguf|ggml|bin|pt|pth|ckpt|h5|msgpack|ot|onnx|onnx_data|tflite|mlmodel|npz|pb|engine|plan|trt|llamafile)$|\.ckpt[-.]|\.data-\d{5}-of-\d{5}$|openvino_[^/]*\.xml$/i

/** A head of its own is smaller than that beside the weights; a second copy of them is not. */
const ownPart = 0.1

/** Throws ArtifactError when it can't be told what the model is. */
export async function chooseFiles(
  source: HubSource,
  listed: readonly ListedFile[],
  { readWhole }: ChoosingParts,
): Promise<ChosenFiles> {
  try {
    const pick = pickWeights(listed)
    const weights = new Set<string>('weights' in pick ? pick.weights : await shardsOf(pick.index, readWhole))
    const missing = [...weights].filter(path => !listed.some(file => file.path === path))
    if (missing.length > 0)
      throw new ArtifactError('never', `${nameOf(source)} lacks ${missing.join(', ')}, which its weights need`)
    const weighs = listed.reduce((sum, { path, bytes }) => sum + (weights.has(path) ? bytes : 0), 0)
    const ending = endingOf([...weights][0] ?? '')
    const isTaken = ({ path, bytes }: ListedFile): boolean =>
      weights.has(path) ||
      !weightFiles.test(path) ||
      // Such as the dense layer of an embedding model, in a folder of its own.
      (path.includes('/') && endingOf(path) === ending && bytes < weighs * ownPart)
    return { files: listed.filter(isTaken), leftOut: listed.filter(file => !isTaken(file)) }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    const help = error.message.includes('to choose from') ? ` hf:${nameOf(source)}:<file>` : ''
    throw new ArtifactError('never', `${nameOf(source)}: ${error.message}${help}`, { cause: error })
  }
}

async function shardsOf(index: string, readWhole: ChoosingParts['readWhole']): Promise<string[]> {
  const folder = index.slice(0, index.lastIndexOf('/') + 1)
  return shardsIn(parseJson(await readWhole(index), { depth: 4, values: 4_000_000 })).map(shard => folder + shard)
}

const endingOf = (path: string): string => path.slice(path.lastIndexOf('.') + 1).toLowerCase()

const nameOf = ({ repository, commit }: HubSource): string => `${repository}@${commit}`
