/** Keys at rest: the SHA-256 of the whole key as sent, in hex. Keys are random, so no salt or stretching is needed. */
import { createHash } from 'node:crypto'

export const hashKey = (key: string): string => createHash('sha256').update(key).digest('hex')
