/** Token numbers that clients send: checked, since llama.cpp ends the process at one that is not in the vocabulary. */
import type { Token } from 'node-llama-cpp'
import { FaultError } from '../../domain/fault.ts'

/** `vocabulary`: how many tokens the model has. */
export function toTokens(list: readonly number[], vocabulary: number, param: string): Token[] {
  return list.map(value => {
    if (!Number.isInteger(value) || value < 0 || value >= vocabulary) {
      throw new FaultError({
        kind: 'request-invalid',
        param,
        problem: `${param}: ${value} is not a token of this model (0 to ${vocabulary - 1})`,
      })
    }
    // Checked above: node-llama-cpp's brand means no more than that.
    return value as Token
  })
}
