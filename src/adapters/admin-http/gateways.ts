/** `/api/v1/gateways`: who serves, and letting in those on other machines. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import { millis } from '../../domain/units.ts'
import type { Instant, Millis } from '../../domain/units.ts'
import { answers, Duration, toIso } from './schemas.ts'

export const GatewayAnswer = z.object({
  gateway: z.string().describe('Its id, the same through restarts.'),
  role: z.literal('gateway'),
  local: z.boolean().describe('It runs on the controller’s machine.'),
  pid: z.number().nullable().describe('Of its process, where it is local.'),
  from: z.string().nullable().describe('The address it dials in from; null: local.'),
  connected: z.boolean(),
  presence: z
    .enum(['connected', 'lost', 'left'])
    .describe('lost: it may serve on, from what it knows. left: it said that it stops.'),
  seq: z.number().nullable().describe('The last change of keys and teams that it has in force; null: not known.'),
  snapshot: z.string().nullable().describe('The snapshot that it serves from.'),
  journalBehind: z
    .number()
    .nullable()
    .describe('Bytes of its journal that the controller does not have yet; null: its journal is the controller’s own.'),
  problems: z.array(z.string()).describe('What its machine lacks for the spec: secrets, replicas.'),
})
export type GatewayRow = z.output<typeof GatewayAnswer>

export type GatewayAdmin = {
  makeToken(lifetime: Millis): Promise<{ token: string; expiresAt: Instant; addresses: string[]; fingerprint: string }>
  list(): Promise<GatewayRow[]>
  remove(id: string): Promise<void>
}

const hour = millis(3_600_000)
const longest = millis(7 * 24 * 3_600_000)

const NewToken = z.strictObject({ expiresIn: Duration.optional().describe('1h unless told; 7d at most.') })
const TokenAnswer = z.object({
  token: z.string().describe('Lets one gateway in, once: shown here, once.'),
  expiresAt: z.string(),
  addresses: z.array(z.string()).describe('Where a gateway will look for the controller.'),
  fingerprint: z.string().describe('SHA-256 of the certificate that the controller shows it is trusted by.'),
})
const Id = z.object({ id: z.string() })
const tags = ['gateways']

export const gatewayRoutes =
  ({ gateways }: { gateways: GatewayAdmin }): FastifyPluginAsyncZod =>
  async app => {
    app.get(
      '/gateways',
      { schema: { tags, response: answers(200, z.object({ gateways: z.array(GatewayAnswer) })) } },
      async () => ({ gateways: await gateways.list() }),
    )

    app.post(
      '/gateways/tokens',
      { schema: { tags, body: NewToken, response: answers(201, TokenAnswer) } },
      async (request, reply) => {
        const lifetime = request.body.expiresIn ?? hour
        if (lifetime > longest) {
          const problem = 'A join token may last 7d at most: whoever has it can let a gateway in.'
          throw new FaultError({ kind: 'request-invalid', param: 'expiresIn', problem })
        }
        const made = await gateways.makeToken(lifetime)
        return reply.code(201).send({ ...made, expiresAt: toIso(made.expiresAt) })
      },
    )

    app.delete(
      '/gateways/:id',
      { schema: { tags, params: Id, response: answers(200, z.object({ gateway: z.string() })) } },
      async request => {
        await gateways.remove(request.params.id)
        return { gateway: request.params.id }
      },
    )
  }
