/** Chance that a seed repeats, so that a decision made with it can be made again. Not for secrets. */

/** Numbers in [0, 1), always the same for a seed (sfc32, stirred twelve times first). */
export function seededRandom(seed: number): () => number {
  let a = 0
  let b = seed | 0
  let c = Math.floor(seed / 0x1_0000_0000) | 0
  let count = 1
  const next = () => {
    const sum = (a + b + count) | 0
    count = (count + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return (sum >>> 0) / 0x1_0000_0000
  }
  for (let stir = 0; stir < 12; stir++) next()
  return next
}
