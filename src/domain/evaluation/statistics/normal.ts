/** The standard normal distribution: the point below which a chance lies. */

/** The z with Φ(z) = `chance`, for a chance in (0, 1); −∞ and ∞ at its ends, NaN outside. */
export function normalQuantile(chance: number): number {
  if (!(chance >= 0 && chance <= 1)) return Number.NaN
  if (chance > 0.5) return -normalQuantile(1 - chance)
  if (chance === 0) return -Infinity
  // From the crude tail bound, Newton's steps on ln Φ, which is concave: they converge from anywhere.
  const goal = Math.log(chance)
  let z = -Math.sqrt(Math.max(0, -2 * Math.log(2 * chance)))
  for (let step = 0; step < 50; step++) {
    const below = lowerTail(z)
    const change = ((Math.log(below) - goal) * below) / density(z)
    z -= change
    if (Math.abs(change) < 1e-15 * Math.max(1, Math.abs(z))) break
  }
  return z
}

/** Φ(z) for z ≤ 0: a series near the middle, a continued fraction (26.2.14 of Abramowitz and Stegun) in the tail. */
function lowerTail(z: number): number {
  if (z > -2.5) {
    let term = z
    let sum = z
    for (let odd = 3; odd < 200; odd += 2) {
      term *= (z * z) / odd
      sum += term
      if (Math.abs(term) < 1e-18 * Math.abs(sum)) break
    }
    return 0.5 + density(z) * sum
  }
  let rest = -z
  for (let step = 160; step > 0; step--) rest = -z + step / rest
  return density(z) / rest
}

function density(z: number): number {
  return Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI)
}
