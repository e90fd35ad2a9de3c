/** Request ids: UUIDv7 (RFC 9562), so that they sort by time. */
import { randomFillSync } from 'node:crypto'
import { requestId, type RequestId } from '../../domain/units.ts'

/** Of one id, the time and the version apart. */
const randomBytes = 10
/** Random bytes are drawn and spelt for many ids at once: a draw costs a system call, and so does its spelling, nearly. */
const pool = Buffer.alloc(randomBytes * 256)
let spelt = ''
let used = pool.length
/** Many ids are made in the same millisecond. */
let latest = -1
let time = ''

/** `now` in milliseconds since 1970. */
export function makeRequestId(now: number): RequestId {
  if (used === pool.length) {
    randomFillSync(pool)
    spelt = pool.toString('hex')
    used = 0
  }
  if (now !== latest) {
    const hex = Math.trunc(now).toString(16).padStart(12, '0')
    time = `${hex.slice(0, 8)}-${hex.slice(8)}-7`
    latest = now
  }
  const at = used * 2
  // Variant 10 in the fourth group; the two bits after it are the lowest of a byte that is not spelt.
  const variant = variants[(pool[used + 9] ?? 0) & 3] ?? '8'
  used += randomBytes
  return requestId(
    `${time}${spelt.slice(at, at + 3)}-${variant}${spelt.slice(at + 3, at + 6)}-${spelt.slice(at + 6, at + 18)}`,
  )
}

const variants = ['8', '9', 'a', 'b']
