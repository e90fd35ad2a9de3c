/** The spec's `controller` section. */
import { z } from 'zod'
import { port, text } from './fields.ts'

const addressPattern = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]/]+):\d{1,5}$/

export const controller = z.strictObject({
  listen: z
    .strictObject({
      host: text('Address to bind; 0.0.0.0 for every interface.').default('0.0.0.0'),
      port: port('Port to bind.').default(8443),
    })
    .describe(
      'Where gateways on other machines reach it, over TLS with certificates of the service’s own. Left out: it listens for none. `HOLDFAST_CONTROLLER_LISTEN` (host:port) comes before this.',
    )
    .optional(),
  addresses: z
    .array(
      z
        .string()
        .regex(addressPattern, 'expected host:port, such as 10.8.0.1:8443')
        .meta({ title: 'host:port', description: 'Host and port, as gateways dial them.' }),
    )
    .default([])
    .describe(
      'What join tokens tell gateways to dial, in this order: of every controller, where there are several. Left out: the addresses of this machine.',
    ),
})
