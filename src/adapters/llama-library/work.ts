/** The other end of `process.ts`: carries out one order with the library. */
import { openLibrary } from './library.ts'
import type { Order, Said } from './orders.ts'
import { quantise } from './quantise.ts'
import { score } from './score.ts'

/** Resolves when the order is carried out or refused, which has been said then. */
export async function carryOut(order: Order, say: (said: Said) => void): Promise<void> {
  try {
    const library = openLibrary()
    if (order.do === 'quantise') await quantise(library, order)
    else await score(library, order, say)
    say({ say: 'done' })
  } catch (error) {
    say({ say: 'refused', why: error instanceof Error ? error.message : String(error) })
  }
}
