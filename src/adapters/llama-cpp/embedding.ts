/** POST /v1/embeddings: unit vectors, one input after the other. */
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import type { Call } from './call.ts'
import { parseRequest, refuseUnsupported } from './request.ts'
import { toTokens } from './token-list.ts'

const TokenList = z.array(z.int().min(0)).min(1)
const mostInputs = 2048

const EmbeddingRequest = z.object({
  model: z.string().nullish(),
  input: z.union(
    [
      z.string().min(1),
      TokenList,
      z
        .array(z.union([z.string().min(1), TokenList]))
        .min(1)
        .max(mostInputs),
    ],
    { error: `must be a text, a list of tokens, or a list of up to ${mostInputs} of these, none of them empty` },
  ),
  encoding_format: z.enum(['float', 'base64']).nullish(),
})

export async function answerEmbedding(body: unknown, { weights, version, signal }: Call): Promise<unknown> {
  refuseUnsupported(body)
  const request = parseRequest(EmbeddingRequest, body)
  const { input } = request
  const isOne = typeof input === 'string' || typeof input[0] === 'number'
  // The schema has told a list of tokens from a list of inputs already; the type of a mixed list can't say so.
  const inputs = (isOne ? [input] : input) as (string | number[])[]
  const data: unknown[] = []
  let promptTokens = 0
  for (const [index, one] of inputs.entries()) {
    const { vector, tokens } = await weights.embed(
      typeof one === 'string' ? one : toTokens(one, weights.facts.vocabulary, 'input'),
      signal,
    )
    if (vector.length === 0)
      throw new FaultError({ kind: 'request-invalid', param: 'input', problem: `input[${index}] holds no tokens` })
    promptTokens += tokens
    data.push({
      object: 'embedding',
      index,
      embedding: request.encoding_format === 'base64' ? toBase64(vector) : vector,
    })
  }
  return {
    object: 'list',
    data,
    model: request.model ?? version,
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
  }
}

/** Little-endian 32-bit floats, whatever the machine. */
function toBase64(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4)
  vector.forEach((value, index) => bytes.writeFloatLE(value, index * 4))
  return bytes.toString('base64')
}
