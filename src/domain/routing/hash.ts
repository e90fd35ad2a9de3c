/** Hashes: 32 bits of a text, fast and well spread, the same on every machine. Not for secrets. */

export const hashSeed = 0x811c9dc5
export const hashPrime = 0x01000193

/** FNV-1a over UTF-16 code units, with a last stir: FNV alone spreads short texts that differ at their end badly. */
export function hashText(text: string): number {
  let hash = hashSeed
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), hashPrime)
  return stir(hash)
}

/** Every bit of what comes in changes half of what goes out (the finaliser of MurmurHash3). */
export function stir(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
