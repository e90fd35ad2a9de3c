/** Pick: which files of a folder or repository are the model. */
import { FormatError, shown } from './reading.ts'

export type ListedFile = { path: string; bytes: number }

/** `index`: a file that lists the weight files. */
export type Pick = { index: string } | { weights: [string, ...string[]] }

/** Throws FormatError when there is nothing, or several things to choose from. */
export function pickWeights(files: readonly ListedFile[]): Pick {
  const paths = files.map(({ path }) => path)
  const index = paths.find(path => /(^|\/)(model|consolidated)\.safetensors\.index\.json$/.test(path) && isNear(path))
  if (index !== undefined) return { index }
  return (
    safetensorsIn(paths) ??
    ggufsIn(paths) ??
    pytorchIn(paths) ??
    oneOf(paths.filter(path => /(^|\/)saved_model\.pb$/.test(path))) ??
    onnxIn(paths) ??
    allOf(paths.filter(path => /(^|\/)[^/]+\.(engine|plan|trt)$/i.test(path))) ??
    oneOf(paths.filter(path => /\.ckpt[^/]*\.index$|(^|\/)variables\.index$/.test(path))) ??
    nothing(paths)
  )
}

/** All files of a split GGUF, whichever of them is named; one file is its own. */
export function ggufParts(file: string): [string, ...string[]] {
  const [, stem, , count] = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i.exec(file) ?? []
  if (stem === undefined || count === undefined) return [file]
  if (Number(count) < 1 || Number(count) > 256)
    throw new FormatError(
      null,
      `${Number(count)} parts by its name; at most 256 are read`,
      'Rename it if it is no split file.',
    )
  const name = (number: number): string => `${stem}-${String(number).padStart(5, '0')}-of-${count}.gguf`
  return [name(1), ...Array.from({ length: Number(count) - 1 }, (_, i) => name(i + 2))]
}

const isNear = (path: string): boolean => !path.includes('/')

function safetensorsIn(paths: readonly string[]): Pick | null {
  const found = paths.filter(path => isNear(path) && /\.safetensors$/i.test(path))
  const numbered = found.filter(path => /-\d{5}-of-\d{5}\.safetensors$/i.test(path))
  if (numbered.length > 0) return allOf(numbered)
  const usual = found.find(path => path === 'model.safetensors' || path === 'adapter_model.safetensors')
  return usual === undefined ? oneOf(found) : { weights: [usual] }
}

function ggufsIn(paths: readonly string[]): Pick | null {
  const found = paths.filter(path => /\.gguf$/i.test(path) && !/(^|[/_.-])mmproj/i.test(path))
  const firsts = found.filter(path => ggufParts(path)[0] === path)
  const [first] = firsts
  if (first !== undefined && firsts.length === 1) return { weights: ggufParts(first) }
  return oneOf(firsts)
}

/** What training leaves beside weights is no model. */
const noWeights = /(^|\/)(training_args|optimizer|scheduler|rng_state|scaler|trainer_state)[^/]*$/

function pytorchIn(paths: readonly string[]): Pick | null {
  const index = paths.find(path => path === 'pytorch_model.bin.index.json')
  if (index !== undefined) return { index }
  const found = paths.filter(path => isNear(path) && /\.(bin|pt|pth)$/i.test(path) && !noWeights.test(path))
  const usual = found.filter(path => /^(pytorch_model|adapter_model|consolidated)[^/]*\.(bin|pth)$/.test(path))
  return usual.length > 0 ? allOf(usual) : oneOf(found)
}

function onnxIn(paths: readonly string[]): Pick | null {
  const found = paths.filter(path => /\.onnx$/i.test(path))
  const usual = found.find(path => /(^|\/)model\.onnx$/.test(path))
  return usual === undefined ? oneOf(found) : { weights: [usual] }
}

function allOf(paths: readonly string[]): Pick | null {
  const [first, ...rest] = paths.toSorted()
  return first === undefined ? null : { weights: [first, ...rest] }
}

function oneOf(paths: readonly string[]): Pick | null {
  const [only, ...others] = paths
  if (only === undefined) return null
  if (others.length === 0) return { weights: [only] }
  const names = paths.slice(0, 20).map(shown).join(', ')
  throw new FormatError(
    null,
    `${paths.length} models to choose from: ${names}${paths.length > 20 ? ', …' : ''}`,
    'Name one of these files.',
  )
}

function nothing(paths: readonly string[]): never {
  const names = paths.slice(0, 10).map(shown).join(', ')
  throw new FormatError(
    null,
    paths.length === 0 ? 'no files are here' : `no model file among ${names}${paths.length > 10 ? ', …' : ''}`,
    'Known are GGUF, safetensors, PyTorch, ONNX, TensorFlow and TensorRT.',
  )
}
