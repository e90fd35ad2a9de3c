/** The controller's side of shipping: where each journal stands, and its bytes at an offset. For gateways elsewhere. */
import type { IncomingMessage } from 'node:http'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import type { DepotStore } from '../../domain/journal/index.ts'
import type { PeerOf } from './link-server.ts'

/** More than the longest line that the journal's reader takes. */
const mostBytes = 20 * 1024 * 1024
const mostEpochs = 10_000

export const journalPath = '/link/v1/journal'
export const shipmentType = 'application/octet-stream'

const Epoch = z.string().max(64)
const Asked = z.object({ epochs: z.array(Epoch).max(mostEpochs) })
const Place = z.object({
  epoch: Epoch,
  segment: z.coerce.number().int().min(1).max(99_999_999),
  offset: z.coerce.number().int().min(0),
})

export const journalRoutes =
  ({ depot, peerOf }: { depot: DepotStore; peerOf: PeerOf }): FastifyPluginAsyncZod =>
  async app => {
    app.addContentTypeParser(shipmentType, { parseAs: 'buffer', bodyLimit: mostBytes }, (_request, body, done) =>
      done(null, body),
    )

    app.post(`${journalPath}/held`, { schema: { hide: true, body: Asked }, bodyLimit: mostBytes }, async request => ({
      held: depot.held(requirePeer(request.raw), request.body.epochs),
    }))

    app.post(
      `${journalPath}/:epoch/:segment/:offset`,
      { schema: { hide: true, params: Place }, bodyLimit: mostBytes },
      async request => {
        const { epoch, segment, offset } = request.params
        const gateway = requirePeer(request.raw)
        const { body } = request
        if (!(body instanceof Uint8Array) || body.length === 0)
          throw new FaultError({ kind: 'request-invalid', param: null, problem: `Send lines, as ${shipmentType}.` })
        const taken = await depot.take(gateway, { epoch, at: { segment, offset }, bytes: body })
        if (taken === null)
          throw new FaultError({ kind: 'conflict', problem: `The epoch ${epoch} is not this gateway's.` })
        return taken
      },
    )

    function requirePeer(request: IncomingMessage): string {
      const peer = peerOf(request)
      if (peer === null) throw new FaultError({ kind: 'gateway-refused', why: 'no-certificate' })
      return peer
    }
  }
