/** Embeddings in base64, which OpenAI's own clients ask for unless told otherwise, from engines that only send numbers. */
import { field, isRecord } from './json.ts'
import { repairWith, type Mend } from './repair.ts'
import type { Repair } from '../../../services/serve/index.ts'

/** `null`: the client takes numbers, so nothing has to be changed. */
export const embeddingRepair = (body: Record<string, unknown>): Repair | null =>
  body['encoding_format'] === 'base64' ? repairWith(base64) : null

const base64: Mend = {
  marks: [],
  whole(answer) {
    const data = field(answer, 'data')
    if (!isRecord(answer) || !Array.isArray(data)) return answer
    return { ...answer, data: data.map((item: unknown) => encode(item)) }
  },
}

function encode(item: unknown): unknown {
  const vector = field(item, 'embedding')
  if (!isRecord(item) || !Array.isArray(vector) || !vector.every(number => typeof number === 'number')) return item
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [index, number] of vector.entries()) bytes.writeFloatLE(number, index * 4)
  return { ...item, embedding: bytes.toString('base64') }
}
