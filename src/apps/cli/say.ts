/** How commands about access word what they were told. */
import { z } from 'zod'

export const InForce = z.object({ acknowledged: z.array(z.string()), waitingFor: z.array(z.string()) })

export function sayInForce({ acknowledged, waitingFor }: z.output<typeof InForce>): string {
  const count = `${acknowledged.length} gateway${acknowledged.length === 1 ? '' : 's'}`
  if (waitingFor.length > 0) return `In force on ${count}; not heard from yet: ${waitingFor.join(', ')}.`
  return acknowledged.length === 0
    ? 'No gateway is connected; each learns of it when it connects.'
    : `In force on ${count}.`
}

/** `unbounded`: what `null` stands for here. */
export const sayModels = (models: readonly string[] | null, unbounded: string): string =>
  models === null ? unbounded : models.join(', ') || 'none'

/** `a, b,` as people write lists. */
export const listOf = (text: string): string[] =>
  text
    .split(',')
    .map(each => each.trim())
    .filter(each => each !== '')
