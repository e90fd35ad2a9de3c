/** Several answers to one request, all at once as far as there are sequences. */
import type { Call } from './call.ts'
import type { Ask, Generated, OnText } from './generation.ts'

type Listener = {
  onStart?: (index: number) => Promise<void>
  onText: (index: number, text: string) => ReturnType<OnText>
  onEnd?: (index: number, generated: Generated) => Promise<void>
}

/** The first failure ends the others. */
export async function generateAll(
  asks: readonly Ask[],
  { weights, signal }: Pick<Call, 'weights' | 'signal'>,
  on: Listener,
): Promise<Generated[]> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const runs = asks.map(async (ask, index) => {
    try {
      const generated = await weights.generate(ask, {
        signal: either,
        onStart: async () => on.onStart?.(index),
        onText: text => on.onText(index, text),
      })
      await on.onEnd?.(index, generated)
      return generated
    } catch (error) {
      failed.abort(error)
      throw error
    }
  })
  // Nobody may still write once this has rejected.
  await Promise.allSettled(runs)
  return Promise.all(runs)
}
