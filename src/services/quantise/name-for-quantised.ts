/** The name of a quantised file: its model's, with the quantisation as files usually spell it. */
import { spellQuantisation, toQuantisation, type Quantisation } from '../../domain/catalog/index.ts'

const part = /-\d{5}-of-\d{5}(?=\.gguf$)/i

/** `models/coder-f16-00001-of-00004.gguf` as `q4-k-m` is `models/coder-Q4_K_M.gguf`. */
export function nameForQuantised(path: string, to: Quantisation): string {
  const folder = path.slice(0, path.lastIndexOf('/') + 1)
  const stem = path
    .slice(folder.length)
    .replace(part, '')
    .replace(/\.gguf$/i, '')
  const words = stem.split(/([-._])/)
  // Words stand at even places; the longest end that is a quantisation makes way.
  const at = words.findIndex((_, i) => i > 0 && i % 2 === 0 && toQuantisation(words.slice(i).join('')) !== null)
  const model = at === -1 ? stem : words.slice(0, at - 1).join('')
  return `${folder}${model}-${spellQuantisation(to)}.gguf`
}
