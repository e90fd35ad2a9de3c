/** Sniff: which format a file is, by its first bytes; its name decides only where they can't. */
import { FormatError, shown } from './reading.ts'
import { isPlan } from './tensorrt.ts'
import { textOf } from './text.ts'

export type FileKind = 'gguf' | 'safetensors' | 'zip' | 'pickle' | 'onnx' | 'saved-model' | 'table' | 'tensorrt'

/** So many bytes of a file's beginning tell. */
export const sniffBytes = 64

/** `null`: none that is known. Throws FormatError for what is known and can't be a model, with what to do instead. */
export function sniff(head: Uint8Array, name: string): FileKind | null {
  const text = textOf(head.subarray(0, 48))
  refuseKnown(head, text)
  if (text.startsWith('GGUF')) return 'gguf'
  if (text.startsWith('PK\u0003\u0004') || text.startsWith('PK\u0005\u0006')) return 'zip'
  if (isPlan(head)) return 'tensorrt'
  // A header's length of less than 2^32, then JSON.
  if (head[8] === 0x7b && [4, 5, 6, 7].every(place => head[place] === 0)) return 'safetensors'
  if (head[4] === 0x7b && /\.(engine|plan|trt)$/i.test(name)) return 'tensorrt'
  if (/(^|\/)saved_model\.pb$/.test(name)) return 'saved-model'
  if (head[0] === 0x80 && (head[1] ?? 9) <= 5) return 'pickle'
  if (/\.(index|ckpt)$/i.test(name)) return 'table'
  // ir_version, a small number.
  if (head[0] === 0x08 && (head[1] ?? 0) < 0x20) return 'onnx'
  if (/\.onnx$/i.test(name)) return 'onnx'
  return /\.(pt|pth|bin|pkl|pickle)$/i.test(name) ? 'pickle' : null
}

/** First bytes of what people take for a model. */
const refused: { starts: RegExp; is: string; instead: string }[] = [
  {
    starts: /^version https:\/\/git-lfs/,
    is: 'a Git LFS pointer, not the file itself',
    instead: 'Fetch it with: git lfs pull.',
  },
  {
    starts: /^\s*<(!doctype|html|\?xml)/i,
    is: 'a web page or an error told as one',
    instead: 'Use the address of the file itself (on Hugging Face: /resolve/ instead of /blob/).',
  },
  {
    starts: /^(lmgg|tjgg|fmgg|algg)/,
    is: 'GGML, the format before GGUF, which no engine reads any more',
    instead: 'Take a GGUF of this model.',
  },
  {
    starts: /^.HDF\r\n/,
    is: 'HDF5 (Keras weights), which no engine here reads',
    instead: 'Save it as a SavedModel or as safetensors.',
  },
]

function refuseKnown(head: Uint8Array, text: string): void {
  if (head.length === 0) throw new FormatError(0, 'the file is empty', 'Fetch it again.')
  const known = refused.find(({ starts }) => starts.test(text))
  if (known !== undefined) throw new FormatError(0, known.is, known.instead)
  if (head[0] === 0x1f && head[1] === 0x8b)
    throw new FormatError(0, 'a gzip archive', 'Unpack it, and name what is in it.')
}

export const unknownFormat = (head: Uint8Array): FormatError =>
  new FormatError(
    0,
    `no format that is known here: it starts with ${JSON.stringify(shown(textOf(head.subarray(0, 12))))}`,
    'Known are GGUF, safetensors, PyTorch, ONNX, TensorFlow and TensorRT.',
  )
