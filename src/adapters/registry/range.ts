/** The bytes of a range, exactly: a store that sends others, fewer or more is not believed. */
import { ArtifactError } from '../../domain/catalog/index.ts'
import type { Answer } from './exchange.ts'

type Range = { from: number; to: number }

/** As a request says it; `to` is exclusive. */
export const rangeHeader = ({ from, to }: Range): string => `bytes=${from}-${to - 1}`

/** Of a 2xx answer. `what`: the object, for who reads what is wrong. */
export async function* exactly(answer: Answer, { from, to }: Range, what: string): AsyncGenerator<Uint8Array> {
  const wrong = wrongIn(answer, { from, to })
  if (wrong !== null) {
    answer.discard()
    throw new ArtifactError('never', `${what}: bytes ${from} to ${to - 1} were asked for, and ${wrong}`)
  }
  let left = to - from
  for await (const piece of answer.bytes()) {
    if (piece.length > left) throw new ArtifactError('never', `${what}: more bytes come than were asked for`)
    left -= piece.length
    yield piece
  }
  if (left > 0) throw new ArtifactError('soon', `${what}: ${left} bytes of ${to - from} did not come`)
}

/** A small object. One byte more than `most` is enough to see that it is another one than was meant. */
export async function gather(pieces: AsyncIterable<Uint8Array>, most: number): Promise<Uint8Array> {
  const all: Uint8Array[] = []
  let length = 0
  for await (const piece of pieces) {
    all.push(piece)
    length += piece.length
    if (length > most) break
  }
  return Buffer.concat(all)
}

function wrongIn(answer: Answer, { from, to }: Range): string | null {
  const length = answer.header('content-length')
  // What has no ranges may send the whole of a small object.
  if (answer.status === 200)
    return from === 0 && Number(length ?? NaN) === to ? null : 'the store sends the whole object: it knows no ranges'
  const [, begins = '', ends = ''] = /^bytes (\d+)-(\d+)\/(?:\d+|\*)$/.exec(answer.header('content-range') ?? '') ?? []
  if (begins === String(from) && ends === String(to - 1)) return null
  return `the store sends ${begins === '' ? 'what it does not name' : `bytes ${begins} to ${ends}`}`
}
