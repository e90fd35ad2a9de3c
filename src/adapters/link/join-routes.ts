/** Joining and renewing: a gateway's way to its certificate. Joining alone is open to whoever has a token. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import type { PeerOf } from './link-server.ts'
import { joinPath } from './remote-listener.ts'

/** What joining asks of whoever keeps tokens and the authority. */
export type Door = {
  /** Throws FaultError `join-refused`. */
  join(ask: {
    secret: string
    publicKey: string
    proof: string
    from: string | null
  }): Promise<{ id: string; certificate: string }>
  /** A new certificate for a gateway that is known. Throws FaultError `gateway-refused` for another key than it joined with. */
  renew(ask: { gateway: string; publicKey: string }): Promise<{ certificate: string }>
}

/** Strangers send this: no more than it needs. */
const joinBytes = 8 * 1024

const Join = z.object({
  secret: z.string().min(1).max(64),
  publicKey: z.string().min(1).max(2000),
  proof: z.string().min(1).max(500),
})
const Renew = Join.pick({ publicKey: true })

export const joinRoutes =
  ({ door, peerOf }: { door: Door; peerOf: PeerOf }): FastifyPluginAsyncZod =>
  async app => {
    app.post(joinPath, { schema: { hide: true, body: Join }, bodyLimit: joinBytes }, async request =>
      door.join({ ...request.body, from: request.socket.remoteAddress ?? null }),
    )

    app.post('/link/v1/renew', { schema: { hide: true, body: Renew }, bodyLimit: joinBytes }, async request => {
      const gateway = peerOf(request.raw)
      if (gateway === null) throw new FaultError({ kind: 'gateway-refused', why: 'no-certificate' })
      return door.renew({ gateway, publicKey: request.body.publicKey })
    })
  }
