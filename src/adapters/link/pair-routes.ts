/** The controller's side of shadow: pairs of answers, sealed, from gateways here and elsewhere. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ShadowPair } from '../../domain/serving/index.ts'
import { instant, releaseId, requestId, type ReleaseId } from '../../domain/units.ts'

/** Eight of the longest pairs. */
const mostBytes = 24 * 1024 * 1024
const mostPairs = 64
const mostSealed = 2 * 1024 * 1024

export const pairsPath = '/link/v1/pairs'

const length = z.int().min(0)
const Pair = z.object({
  id: z.string().min(1).max(64).transform(requestId),
  at: z.number().transform(instant),
  lengths: z.object({ live: length, candidate: length.nullable() }),
  candidate: z.object({
    ok: z.boolean(),
    status: z.int(),
    fault: z.string().max(64).nullable(),
    firstTokenMs: z.number().min(0).nullable(),
    totalMs: z.number().min(0),
  }),
  sealed: z.string().max(mostSealed).nullable(),
})
const Pairs = z.object({
  release: z.string().min(1).max(64).transform(releaseId),
  pairs: z.array(Pair).min(1).max(mostPairs),
})

/** `onPairs` gets what was sent; what it throws is answered, and the gateway counts the pairs as lost. */
export const pairRoutes =
  ({
    onPairs,
  }: {
    onPairs: (release: ReleaseId, pairs: readonly ShadowPair[]) => void | Promise<void>
  }): FastifyPluginAsyncZod =>
  async app => {
    app.post(pairsPath, { schema: { hide: true, body: Pairs }, bodyLimit: mostBytes }, async (request, reply) => {
      await onPairs(request.body.release, request.body.pairs)
      return reply.code(204).send()
    })
  }
