/** What llama.cpp's library tells of its work on standard error, in lines that its release v0.5.0 writes. */
import type { TensorChange } from '../../services/quantise/index.ts'

export type Told =
  | { tells: 'tensor'; change: TensorChange; at: number; of: number }
  | { tells: 'fall-back'; tensor: string; wanted: string; got: string }
  | { tells: 'bytes'; bytes: number }
  | { tells: 'importance-wanted' }
  | { tells: 'problem'; problem: string }

const mebibyte = 1024 * 1024
const tensor =
  /^\[\s*(\d+)\/\s*(\d+)\] (.+?)\s+- \[[^\]]*\], type =\s*(\S+?), (?:converting to (\S+) \.\. )?size =\s*[\d.]+ MiB(?: ->\s*[\d.]+ MiB(?: \((\S+)\))?)?\s*$/
const fallBack =
  /^warning: (.+?)\s+- ncols\s+\d+ not divisible by\s+\d+ \(required for type\s+(\S+)\).* falling back to\s+(\S+)\s*$/
const wholeSize = /quant size\s+=\s+([\d.]+) MiB/
const importance = /requires an imatrix|will require an imatrix|Missing importance matrix/
const problem =
  /^llama_model_quantize: failed to quantize: (.+)$|^(?:gguf_\w+|llama_model_load\w*): (?:error[^:]*: )(.+)$|^gguf_\w+: (.+)$|(GGML_ASSERT\(.*)$|(terminate called .*)$/
/** What the C++ library calls a file that took no more bytes. */
const unwritten = 'basic_ios::clear'

/** `null`: it tells nothing that is wanted here. */
export function readLogLine(line: string): Told | null {
  const [, at, of, name, from, to, foreseen] = tensor.exec(line) ?? []
  if (name !== undefined && from !== undefined)
    return { tells: 'tensor', change: { name, from, to: to ?? foreseen ?? from }, at: Number(at), of: Number(of) }
  const [, whose, wanted, got] = fallBack.exec(line) ?? []
  if (whose !== undefined && wanted !== undefined && got !== undefined)
    return { tells: 'fall-back', tensor: whose, wanted, got }
  const [, size] = wholeSize.exec(line) ?? []
  if (size !== undefined) return { tells: 'bytes', bytes: Math.ceil(Number(size) * mebibyte) }
  const [, ...whys] = problem.exec(line) ?? []
  const why = whys.find(each => each !== undefined)
  if (why !== undefined)
    return { tells: 'problem', problem: why.startsWith(unwritten) ? 'the file took no more bytes' : why }
  return importance.test(line) ? { tells: 'importance-wanted' } : null
}
