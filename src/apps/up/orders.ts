/** What the parent does when this machine's own user orders it: restart one process, or become another release. */
import { z } from 'zod'
import type { OrderEnd } from '../../adapters/processes/index.ts'
import { inTurn } from '../../services/access/index.ts'
import { checkRelease, readRelease } from './release.ts'
import type { Roles } from './roles.ts'

export const Order = z.discriminatedUnion('do', [
  z.object({ do: z.literal('restart'), role: z.enum(['gateway', 'controller', 'agent']) }),
  z.object({ do: z.literal('upgrade'), folder: z.string() }),
])
export type Order = z.output<typeof Order>

export function takeOrders(roles: Roles): (order: unknown, say: (text: string) => void) => Promise<OrderEnd> {
  const turn = inTurn()

  async function carryOut(order: Order, say: (text: string) => void): Promise<OrderEnd> {
    switch (order.do) {
      case 'restart': {
        say(`Restarting the ${order.role} …`)
        await roles.restart(order.role)
        const drains = order.role === 'gateway' ? ' The one before finishes the requests it has.' : ''
        return { ok: true, text: `The ${order.role} was replaced; nothing was cut.${drains}`, result: order }
      }
      case 'upgrade': {
        const before = roles.release
        const to = readRelease(order.folder)
        say(`Looking whether ${to.version} in ${to.folder} starts …`)
        await checkRelease(to)
        await roles.upgrade(to, say)
        const text =
          `Holdfast ${to.version} serves, from ${to.folder}; nothing was cut. ` +
          `To go back: holdfast upgrade ${before.folder}\n` +
          `What starts the service on this machine (systemd, a script) still names the folder it named; point it there too.`
        return { ok: true, text, result: { from: before, to } }
      }
      default:
        return order satisfies never
    }
  }

  return (asked, say) =>
    turn(async () => {
      const order = Order.safeParse(asked)
      const result = {}
      if (!order.success)
        return { ok: false, text: 'This service does not know this order: it is of another release.', result }
      try {
        return await carryOut(order.data, say)
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        return { ok: false, text: `${why}\nWhat ran before serves on. Its words on standard error say more.`, result }
      }
    })
}
