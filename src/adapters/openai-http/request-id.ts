/** Request ids: UUIDv7 (RFC 9562), so that they sort by time. */
import { randomFillSync } from 'node:crypto'
import { requestId, type RequestId } from '../../domain/units.ts'

/** Random bytes are drawn for many ids at once: a draw costs a system call. */
const pool = Buffer.alloc(10 * 256)
let used = pool.length

/** `now` in milliseconds since 1970. */
export function makeRequestId(now: number): RequestId {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const random = pool.toString('hex', used, used + 10)
  used += 10
  const time = Math.trunc(now).toString(16).padStart(12, '0')
  // Version 7 in the third group, variant 10 in the fourth.
  const variant = (8 + (Number.parseInt(random[3] ?? '0', 16) & 3)).toString(16)
  return requestId(
    `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-${variant}${random.slice(4, 7)}-${random.slice(7, 19)}`,
  )
}
