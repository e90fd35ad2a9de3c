/** The controller as a depot for a gateway's journal, over the line. */
import { z } from 'zod'
import type { Depot, Shipped } from '../../domain/journal/index.ts'
import { journalPath, shipmentType } from './journal-routes.ts'
import { messageOf, send } from './link-client.ts'
import type { Line } from './line.ts'

const Held = z.object({
  epoch: z.string(),
  at: z.object({ segment: z.int().min(1), offset: z.int().min(0) }),
  ended: z.boolean(),
})
const AllHeld = z.object({ held: z.array(Held) })

export function shipOver(line: Line): Depot {
  async function ask(path: string, type: string, bytes: string | Uint8Array): Promise<unknown> {
    const { status, text } = await send(line, path, { type, bytes })
    if (status !== 200) throw new Error(messageOf(text) ?? `POST ${path} was answered with ${status}`)
    return JSON.parse(text)
  }
  return {
    async held(epochs) {
      const answer = await ask(`${journalPath}/held`, 'application/json', JSON.stringify({ epochs }))
      return AllHeld.parse(answer).held
    },
    async send({ epoch, at, bytes }): Promise<Shipped> {
      return Held.parse(await ask(`${journalPath}/${epoch}/${at.segment}/${at.offset}`, shipmentType, bytes))
    },
  }
}
