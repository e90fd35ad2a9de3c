/** The controller's side of marks: answers that clients got, sealed, from gateways here and elsewhere. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { LiveSample } from '../../domain/serving/index.ts'
import { modelName, requestId, versionName } from '../../domain/units.ts'

/** Eight of the longest samples. */
const mostBytes = 16 * 1024 * 1024
const mostSamples = 8
const mostSealed = 2 * 1024 * 1024

export const samplesPath = '/link/v1/samples'

const Sample = z.object({
  id: z.string().min(1).max(64).transform(requestId),
  model: z.string().min(1).max(256).transform(modelName),
  version: z.string().min(1).max(256).transform(versionName),
  sealed: z.string().max(mostSealed),
})
const Samples = z.object({ samples: z.array(Sample).min(1).max(mostSamples) })

/** `onSamples` gets what was sent, and returns at once. */
export const sampleRoutes =
  ({ onSamples }: { onSamples: (samples: readonly LiveSample[]) => void }): FastifyPluginAsyncZod =>
  async app => {
    app.post(samplesPath, { schema: { hide: true, body: Samples }, bodyLimit: mostBytes }, async (request, reply) => {
      onSamples(request.body.samples)
      return reply.code(204).send()
    })
  }
