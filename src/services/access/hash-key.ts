/** Keys at rest: the SHA-256 of the whole key as sent, in hex. Keys are random, so no salt or stretching is needed. */
import { hash } from 'node:crypto'

export const hashKey = (key: string): string => hash('sha256', key)
