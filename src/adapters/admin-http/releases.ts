/** `/api/v1/releases`: one version of a model replacing another, begun, watched and ended. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { shareOf, type Actor, type Decision, type Release } from '../../domain/release/index.ts'
import { modelName, versionName, type ModelName } from '../../domain/units.ts'
import type { NewRelease } from '../../services/release/index.ts'
import type { Identify } from '../../services/access/index.ts'
import { answers, toIso } from './schemas.ts'

const Verdict = z.enum(['promote', 'rollback', 'hold', 'void', 'judge-inadmissible'])
const Phase = z.enum([
  ...(['draft', 'smoke', 'golden', 'shadow', 'canary', 'bake', 'live', 'held', 'aborted', 'rolled-back'] as const),
])
const Gate = z.object({
  name: z.string(),
  verdict: Verdict,
  eValue: z.number().optional().describe('Evidence that the candidate is worse; from `threshold` on the gate fails.'),
  threshold: z.number().optional(),
  notWorse: z
    .object({ eValue: z.number(), threshold: z.number() })
    .optional()
    .describe('Evidence that it is no worse than allowed; from `threshold` on the gate is passed.'),
  needed: z.number().optional().describe('Requests, units or pairs until it can be told, at what was seen so far.'),
  evidence: z.string().describe('In words, with its numbers.'),
})
const ActorAnswer = z.object({ who: z.string(), alias: z.string().nullable(), reason: z.string() })

const ReleaseAnswer = z.object({
  id: z.string(),
  model: z.string(),
  from: z.string().describe('The version that answered before.'),
  to: z.string().describe('The candidate.'),
  policy: z.string().nullable(),
  phase: Phase,
  step: z.number().describe('Which of the canary’s steps, from 1; 0 before it.'),
  steps: z.array(z.number()).describe('Parts of the requests that the candidate answers, one after another.'),
  share: z.number().describe('Part of the requests that the candidate answers now.'),
  verdict: Verdict,
  why: z.string(),
  gates: z.array(Gate),
  startedAt: z.string(),
  since: z.string().describe('When the phase, or the step, began.'),
  by: ActorAnswer,
  origin: z.enum(['spec', 'command']),
  same: z.boolean().describe('Both versions are the same under two names: to calibrate.'),
})

const DecisionAnswer = z.object({
  n: z.number(),
  at: z.string(),
  from: z.object({ phase: Phase, step: z.number() }),
  to: z.object({ phase: Phase, step: z.number() }),
  share: z.number(),
  verdict: Verdict,
  why: z.string(),
  by: ActorAnswer,
  gates: z.array(Gate),
})

export type ReleaseAdmin = {
  /** Newest first. */
  list(ask: { model?: ModelName; limit: number }): Promise<Release[]>
  /** The newest of a model, or the one with this id. Throws FaultError `not-found`. */
  find(modelOrId: string): Promise<Release>
  decisions(release: Release): Promise<Decision[]>
  /** One page of HTML that needs nothing else. */
  report(release: Release): Promise<string>
  start(wanted: NewRelease): Promise<Release>
  promote(model: ModelName, by: Actor): Promise<Release>
  abort(model: ModelName, by: Actor): Promise<Release>
  resume(model: ModelName, by: Actor): Promise<Release>
}

const reason = z.string().min(1).max(1000)
const NewReleaseBody = z.strictObject({
  model: z.string().min(1).max(256),
  version: z.string().min(1).max(256),
  policy: z.string().min(1).max(64).optional().describe('One of the spec’s; left out: the model’s own.'),
  reason: reason.optional(),
})
const Because = z.strictObject({ reason: reason.describe('Why; it is kept with the release.') })
const Which = z.object({ release: z.string().min(1).max(256).describe('A model’s name, or a release’s id.') })
const Model = z.object({ model: z.string().min(1).max(256) })
const Filter = z.object({
  model: z.string().max(256).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(50),
})
const tags = ['releases']

export const releaseRoutes =
  ({ releases, identify }: { releases: ReleaseAdmin; identify: Identify }): FastifyPluginAsyncZod =>
  async app => {
    const actorOf = async (authorization: string | undefined, why: string): Promise<Actor> => {
      const principal = await identify(authorization)
      return principal.kind === 'admin'
        ? { who: 'admin', alias: null, reason: why }
        : { who: principal.id, alias: principal.alias, reason: why }
    }

    app.get(
      '/releases',
      { schema: { tags, querystring: Filter, response: answers(200, z.object({ releases: z.array(ReleaseAnswer) })) } },
      async ({ query: { model, limit } }) => {
        const found = await releases.list({ limit, ...(model === undefined ? {} : { model: modelName(model) }) })
        return { releases: found.map(toAnswer) }
      },
    )

    app.post(
      '/releases',
      { schema: { tags, body: NewReleaseBody, response: answers(201, ReleaseAnswer) } },
      async (request, reply) => {
        const { model, version, policy, reason: why } = request.body
        const by = await actorOf(request.headers.authorization, why ?? 'started by hand')
        const begun = await releases.start({
          ...{ model: modelName(model), version: versionName(version), by },
          ...(policy === undefined ? {} : { policy }),
        })
        return reply.code(201).send(toAnswer(begun))
      },
    )

    app.get(
      '/releases/:release',
      { schema: { tags, params: Which, response: answers(200, ReleaseAnswer) } },
      async request => toAnswer(await releases.find(request.params.release)),
    )

    app.get(
      '/releases/:release/decisions',
      { schema: { tags, params: Which, response: answers(200, z.object({ decisions: z.array(DecisionAnswer) })) } },
      async request => {
        const decisions = await releases.decisions(await releases.find(request.params.release))
        return { decisions: decisions.map(decision => ({ ...decision, at: toIso(decision.at) })) }
      },
    )

    app.get(
      '/releases/:release/report',
      { schema: { tags, params: Which, produces: ['text/html'], response: answers(200, z.string()) } },
      async (request, reply) => {
        const page = await releases.report(await releases.find(request.params.release))
        return reply.type('text/html; charset=utf-8').serializer(String).send(page)
      },
    )

    for (const act of ['promote', 'abort', 'resume'] as const) {
      app.post(
        `/releases/:model/${act}`,
        { schema: { tags, params: Model, body: Because, response: answers(200, ReleaseAnswer) } },
        async request => {
          const by = await actorOf(request.headers.authorization, request.body.reason)
          return toAnswer(await releases[act](modelName(request.params.model), by))
        },
      )
    }
  }

function toAnswer(release: Release): z.output<typeof ReleaseAnswer> {
  const { id, model, from, to, policy, phase, step, verdict, why, gates, startedAt, since, by, origin, same } = release
  return {
    ...{ id, model, from, to, phase, step, verdict, why, gates, by, same },
    policy: policy.name,
    steps: policy.canary?.steps ?? [],
    share: shareOf(release),
    startedAt: toIso(startedAt),
    since: toIso(since),
    origin: origin.kind,
  }
}
