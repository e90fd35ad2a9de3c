/** SHA-256 as the chain's digest. */
import { createHash, hash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import type { Digest, LineDigest, NewDigest } from '../../domain/journal/index.ts'

const wrap = (running: Hash): Digest => ({
  update(bytes) {
    running.update(bytes)
  },
  copy: () => wrap(running.copy()),
  hex: () => running.digest('hex'),
})

export const newSha256: NewDigest = () => wrap(createHash('sha256'))

/** In one call: a third of what a `Hash` costs for a line. */
export const sha256OfLine: LineDigest = line => hash('sha256', line)
