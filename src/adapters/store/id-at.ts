/** Moments as ids (UUIDv7): requests and acts have an index by id and none by time. */

/** An id is made when its request arrives; so much later or earlier by the clock at most. */
export const idSlackMs = 60_000

/** How ids of that moment begin. */
export function idAt(moment: number): string {
  const time = Math.max(0, Math.trunc(moment)).toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}`
}
