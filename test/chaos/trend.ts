/** The straight line through samples: what a process gains with each request, as far as it is not just noise. */

export type Sample = { requests: number; heap: number; resident: number }

/** Bytes for each request, by least squares. */
export function slopeOf(samples: readonly Sample[], part: 'heap' | 'resident'): number {
  const x = mean(samples.map(({ requests }) => requests))
  const y = mean(samples.map(sample => sample[part]))
  const over = samples.reduce((sum, sample) => sum + (sample.requests - x) * (sample[part] - y), 0)
  const under = samples.reduce((sum, sample) => sum + (sample.requests - x) ** 2, 0)
  return under === 0 ? 0 : over / under
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
