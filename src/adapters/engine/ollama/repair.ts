/** What is mended in Ollama's answers alone. */
import { field, keyMarks, type Mend } from '../openai/index.ts'

/** Its completions tell zeros with each piece of a stream and the usage at its end: only that one is left. */
export const usageOnce: Mend = {
  marks: keyMarks('usage', '{'),
  chunk(chunk) {
    const choices = field(chunk, 'choices')
    const isPiece = Array.isArray(choices) && choices.length > 0
    const isZero = field(field(chunk, 'usage'), 'total_tokens') === 0
    return isPiece && isZero ? { ...chunk, usage: null } : chunk
  },
}
