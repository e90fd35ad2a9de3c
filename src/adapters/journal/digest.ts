/** SHA-256 as the chain's digest. */
import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import type { Digest, NewDigest } from '../../domain/journal/index.ts'

const wrap = (hash: Hash): Digest => ({
  update(bytes) {
    hash.update(bytes)
  },
  copy: () => wrap(hash.copy()),
  hex: () => hash.digest('hex'),
})

export const newSha256: NewDigest = () => wrap(createHash('sha256'))
