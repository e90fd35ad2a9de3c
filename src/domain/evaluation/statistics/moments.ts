/** Running moments: mean and variance of a stream of numbers in three, without losing digits (Welford). */

/** `m2` is the sum of squared distances from the mean. Plain numbers, so it may be stored. */
export type Moments = { readonly n: number; readonly mean: number; readonly m2: number }

export const noMoments: Moments = { n: 0, mean: 0, m2: 0 }

export function pushMoment(moments: Moments, x: number): Moments {
  const n = moments.n + 1
  const gap = x - moments.mean
  const mean = moments.mean + gap / n
  return { n, mean, m2: moments.m2 + gap * (x - mean) }
}

/** The sample variance, with n − 1. NaN below two numbers. */
export function varianceOf({ n, m2 }: Moments): number {
  return n < 2 ? Number.NaN : m2 / (n - 1)
}

export function momentsOf(values: readonly number[]): Moments {
  return values.reduce(pushMoment, noMoments)
}
