/** Bytes on their way out, held to the length and digest that they were announced with. */
import { createHash } from 'node:crypto'
import { ArtifactError } from '../../domain/catalog/index.ts'

/** The last piece is kept back until all is known to be right: a store that checks nothing does not get wrong bytes whole. */
export async function* checked(
  pieces: AsyncIterable<Uint8Array>,
  { bytes, sha256, what }: { bytes: number; sha256: string; what: string },
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let read = 0
  let last: Uint8Array | null = null
  for await (const piece of pieces) {
    if (piece.length === 0) continue
    hash.update(piece)
    read += piece.length
    if (read > bytes) throw changed(what)
    if (last !== null) yield last
    last = piece
  }
  if (read !== bytes || hash.digest('hex') !== sha256) throw changed(what)
  if (last !== null) yield last
}

export const changed = (what: string): ArtifactError =>
  new ArtifactError(
    'never',
    `${what} was not written: the file has other bytes now than when its digest was taken; start again`,
  )
