/** `/api/v1/keys`. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import { millis, teamName } from '../../domain/units.ts'
import type { Instant } from '../../domain/units.ts'
import type { Keys } from '../../services/access/index.ts'
import {
  answers,
  BornKeyAnswer,
  ChangedKeyAnswer,
  Duration,
  KeyAnswer,
  Metadata,
  Models,
  Moment,
  RotatedKeyAnswer,
  toIso,
  toKeyAnswer,
} from './schemas.ts'

/** Long enough to bring a new key to every client of a working day. */
const usualGrace = millis(24 * 3_600_000)

const NewKeyBody = z.strictObject({
  alias: z.string().nullable().default(null).describe('A name for people, unique among keys that are not revoked.'),
  team: z.string().nullable().default(null),
  models: Models.nullable().default(null).describe('Public model names; null: whatever the team may use.'),
  expiresIn: Duration.nullable().default(null),
  expiresAt: Moment.nullable().default(null),
  metadata: Metadata.default({}),
  key: z.string().nullable().default(null).describe('A key brought from elsewhere; leave it out to get one.'),
})
const RotateBody = z.strictObject({
  grace: Duration.optional().describe('How long the old secret goes on: 24h unless told.'),
})
const Ref = z.object({ id: z.string().describe('The id of a key, or its alias.') })
const tags = ['keys']

export const keyRoutes =
  ({ keys, now }: { keys: Keys; now: () => Instant }): FastifyPluginAsyncZod =>
  async app => {
    app.get(
      '/keys',
      { schema: { tags, response: answers(200, z.object({ keys: z.array(KeyAnswer) })) } },
      async () => ({ keys: (await keys.list()).map(key => toKeyAnswer(key, now())) }),
    )

    app.post(
      '/keys',
      { schema: { tags, body: NewKeyBody, response: answers(201, BornKeyAnswer) } },
      async (request, reply) => {
        const { alias, team, models, expiresIn, expiresAt, metadata, key: brought } = request.body
        if (expiresIn !== null && expiresAt !== null) {
          throw new FaultError({
            kind: 'request-invalid',
            param: 'expiresAt',
            problem: 'Give expiresIn or expiresAt, not both.',
          })
        }
        const lifetime = expiresIn === null ? null : { in: expiresIn }
        const expires = expiresAt === null ? lifetime : { at: expiresAt }
        const { key, secret, inForce, warnings } = await keys.create({
          alias,
          team: team === null ? null : teamName(team),
          models,
          expires,
          metadata,
          secret: brought,
        })
        return reply
          .code(201)
          .header('cache-control', 'no-store')
          .send({ ...toKeyAnswer(key, now()), key: secret, inForce, warnings })
      },
    )

    app.get('/keys/:id', { schema: { tags, params: Ref, response: answers(200, KeyAnswer) } }, async request =>
      toKeyAnswer(await keys.get(request.params.id), now()),
    )

    app.post(
      '/keys/:id/rotate',
      {
        schema: { tags, params: Ref, body: RotateBody.nullish(), response: answers(200, RotatedKeyAnswer) },
      },
      async (request, reply) => {
        const { key, secret, previousValidUntil, inForce, warnings } = await keys.rotate(request.params.id, {
          grace: request.body?.grace ?? usualGrace,
        })
        return reply.header('cache-control', 'no-store').send({
          ...toKeyAnswer(key, now()),
          key: secret,
          previousValidUntil: toIso(previousValidUntil),
          inForce,
          warnings,
        })
      },
    )

    app.delete(
      '/keys/:id',
      { schema: { tags, params: Ref, response: answers(200, ChangedKeyAnswer) } },
      async request => {
        const { key, inForce, warnings } = await keys.revoke(request.params.id)
        return { ...toKeyAnswer(key, now()), inForce, warnings }
      },
    )
  }
