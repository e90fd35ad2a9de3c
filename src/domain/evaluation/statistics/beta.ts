/** The beta distribution's tails on the logarithmic scale, exact where the tails themselves are too small for a number. */

/** A point of the beta distribution with parameters `a`, `b` > 0, 0 < x < 1; anything else gives NaN. */
export type BetaPoint = { a: number; b: number; x: number }

/** ln I_x(a, b): the logarithm of the chance to be below `x` (the regularised incomplete beta function). */
export function logBetaBelow(at: BetaPoint): number {
  return logBelow(bothWays(at))
}

/** ln(1 − I_x(a, b)): the logarithm of the chance to be above `x`. */
export function logBetaAbove(at: BetaPoint): number {
  return logBelow(mirrored(bothWays(at)))
}

/**
 * ln((1 − I_x(a, b)) / (x^a (1 − x)^b / B(a, b))): how much lies above `x`, in units of the density there (times x(1 − x)).
 * Differences of this are the one-sided e-values of `counts.ts`; in the far tail the density, which is the part that loses
 * digits, cancels.
 */
export function logBetaAboveToDensity(at: BetaPoint): number {
  const point = bothWays(at)
  if (!isLeft(point)) return Math.log(fraction(mirrored(point)))
  const weight = logDensity(point)
  return logOfRest(weight + Math.log(fraction(point))) - weight
}

/** ln(x^a (1 − x)^b / B(a, b)): the density at `x`, times x(1 − x). */
export function logBetaDensity(at: BetaPoint): number {
  return logDensity(bothWays(at))
}

/** `y` is 1 − x: carried along, because 1 − (1 − x) is not x when x is small. */
type Point = BetaPoint & { y: number }

function bothWays({ a, b, x }: BetaPoint): Point {
  const isInside = a > 0 && b > 0 && x > 0 && x < 1
  return isInside ? { a, b, x, y: 1 - x } : { a: Number.NaN, b: Number.NaN, x, y: 1 - x }
}

function mirrored({ a, b, x, y }: Point): Point {
  return { a: b, b: a, x: y, y: x }
}

function logBelow(at: Point): number {
  const weight = logDensity(at)
  if (isLeft(at)) return weight + Math.log(fraction(at))
  return logOfRest(weight + Math.log(fraction(mirrored(at))))
}

function isLeft({ a, b, x }: Point): boolean {
  return x < (a + 1) / (a + b + 2)
}

/**
 * By the deviance from the mean and Stirling's error: the plain formula subtracts numbers of size a + b from each other and
 * keeps no digit at a million. Source of the form: C. Loader, «Fast and accurate computation of binomial probabilities», 2000.
 */
function logDensity({ a, b, x, y }: Point): number {
  const n = a + b
  const deviance = devianceOf(a, n * x) + devianceOf(b, n * y)
  return (
    0.5 * Math.log((a / n) * (b / (2 * Math.PI))) + stirlingError(n) - stirlingError(a) - stirlingError(b) - deviance
  )
}

/** ln Γ(z + 1) − (z + ½) ln z + z − ½ ln 2π, for z > 0. */
function stirlingError(z: number): number {
  let error = 0
  let at = z
  // One step up the recurrence of Γ at a time, until the series below has all its digits.
  for (; at < 16; at++) error += (at + 0.5) * Math.log1p(1 / at) - 1
  const square = 1 / (at * at)
  const series = 1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square * (1 / 1188))))
  return error + series / at
}

/** y ln(y / mean) + mean − y without losing digits where `y` is near the mean. */
function devianceOf(y: number, mean: number): number {
  const gap = y - mean
  const ratio = gap / (y + mean)
  if (Math.abs(ratio) > 0.1) return y * Math.log(y / mean) - gap
  // ln(y / mean) = 2 artanh(ratio)
  let sum = gap * ratio
  let power = 2 * y * ratio
  for (let odd = 3; odd < 40; odd += 2) {
    power *= ratio * ratio
    const next = sum + power / odd
    if (next === sum) break
    sum = next
  }
  return sum
}

/**
 * I_x(a, b) in units of x^a (1 − x)^b / B(a, b), by the continued fraction 26.5.8 of Abramowitz and Stegun, evaluated as Lentz
 * does. It converges left of the mean, in about √(a + b) steps.
 */
function fraction({ a, b, x }: Point): number {
  const tiny = 1e-300
  let upper = 1
  let lower = 1 / nonZero(1 - ((a + b) * x) / (a + 1), tiny)
  let value = lower
  for (let step = 1; step < 200_000; step++) {
    const even = (step * (b - step) * x) / ((a + 2 * step - 1) * (a + 2 * step))
    lower = 1 / nonZero(1 + even * lower, tiny)
    upper = nonZero(1 + even / upper, tiny)
    value *= lower * upper
    const odd = (-(a + step) * (a + b + step) * x) / ((a + 2 * step) * (a + 2 * step + 1))
    lower = 1 / nonZero(1 + odd * lower, tiny)
    upper = nonZero(1 + odd / upper, tiny)
    const change = lower * upper
    value *= change
    // Not a number ends it as well.
    if (!(Math.abs(change - 1) >= 1e-15)) break
  }
  return value / a
}

function nonZero(value: number, tiny: number): number {
  return Math.abs(value) < tiny ? tiny : value
}

/** ln(1 − e^log), for log ≤ 0. */
function logOfRest(log: number): number {
  // Rounding may take a chance just past 1.
  const below = Math.min(log, -Number.MIN_VALUE)
  return below > -Math.LN2 ? Math.log(-Math.expm1(below)) : Math.log1p(-Math.exp(below))
}
