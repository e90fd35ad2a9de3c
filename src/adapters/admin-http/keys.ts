/** `/api/v1/keys`. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Key } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import { millis, teamName } from '../../domain/units.ts'
import type { Instant, Millis, TeamName } from '../../domain/units.ts'
import type { ChangedKey, Keys, NewKey } from '../../services/access/index.ts'
import {
  Addresses,
  answers,
  BornKeyAnswer,
  BudgetBody,
  ChangedKeyAnswer,
  Duration,
  KeyAnswer,
  LimitsBody,
  Metadata,
  Models,
  Moment,
  Owner,
  RotatedKeyAnswer,
  Routes,
  toIso,
  toKeyAnswer,
} from './schemas.ts'

/** Long enough to bring a new key to every client of a working day. */
const usualGrace = millis(24 * 3_600_000)

const modelsMeaning = 'Public model names; null: whatever the team may use.'
const NewKeyBody = z.strictObject({
  alias: z.string().nullable().default(null).describe('A name for people, unique among keys that are not revoked.'),
  team: z.string().nullable().default(null),
  owner: Owner.nullable().default(null),
  models: Models.nullable().default(null).describe(modelsMeaning),
  routes: Routes.nullable().default(null),
  addresses: Addresses.nullable().default(null),
  expiresIn: Duration.nullable().default(null),
  expiresAt: Moment.nullable().default(null),
  limits: LimitsBody.nullable().default(null),
  budget: BudgetBody.nullable().default(null),
  metadata: Metadata.default({}),
  key: z.string().nullable().default(null).describe('A key brought from elsewhere; leave it out to get one.'),
})
const KeyChange = z
  .strictObject({
    alias: z.string().nullable(),
    team: z.string().nullable(),
    owner: Owner.nullable(),
    models: Models.nullable().describe(modelsMeaning),
    routes: Routes.nullable(),
    addresses: Addresses.nullable(),
    expiresIn: Duration.nullable().describe('From now on; null: it never ends. A key that has expired opens again.'),
    expiresAt: Moment.nullable().describe('null: it never ends.'),
    limits: LimitsBody.nullable(),
    budget: BudgetBody.nullable(),
    metadata: Metadata.describe('In the place of all there was.'),
  })
  .partial()
const KeyQuery = z.strictObject({
  team: z.string().optional(),
  service: z.string().optional().describe('Keys of this service account.'),
  person: z.string().optional().describe('Keys of this person.'),
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
      { schema: { tags, querystring: KeyQuery, response: answers(200, z.object({ keys: z.array(KeyAnswer) })) } },
      async ({ query }) => {
        const found = (await keys.list()).filter(key => isAskedFor(key, query))
        return { keys: found.map(key => toKeyAnswer(key, now())) }
      },
    )

    app.post(
      '/keys',
      { schema: { tags, body: NewKeyBody, response: answers(201, BornKeyAnswer) } },
      async (request, reply) => {
        const { team, expiresIn, expiresAt, key: brought, ...rest } = request.body
        const { key, secret, inForce, warnings } = await keys.create({
          ...rest,
          team: toTeam(team),
          expires: toEnd({ expiresIn, expiresAt }) ?? null,
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

    app.patch(
      '/keys/:id',
      { schema: { tags, params: Ref, body: KeyChange, response: answers(200, ChangedKeyAnswer) } },
      async request => {
        const { team, expiresIn, expiresAt, ...rest } = request.body
        return toChanged(
          await keys.update(request.params.id, {
            ...rest,
            team: team === undefined ? undefined : toTeam(team),
            expires: toEnd({ expiresIn, expiresAt }),
          }),
        )
      },
    )

    for (const verb of ['block', 'unblock'] as const) {
      app.post(
        `/keys/:id/${verb}`,
        { schema: { tags, params: Ref, response: answers(200, ChangedKeyAnswer) } },
        async request => toChanged(await keys[verb](request.params.id)),
      )
    }

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
      async request => toChanged(await keys.revoke(request.params.id)),
    )

    function toChanged({ key, inForce, warnings }: ChangedKey) {
      return { ...toKeyAnswer(key, now()), inForce, warnings }
    }
  }

const toTeam = (team: string | null): TeamName | null => (team === null ? null : teamName(team))

/** `undefined`: nothing was said of an end. */
function toEnd({
  expiresIn,
  expiresAt,
}: {
  expiresIn: Millis | null | undefined
  expiresAt: Instant | null | undefined
}): NewKey['expires'] | undefined {
  // Two values that are not null contradict each other; a null beside a value says nothing.
  if (expiresIn && expiresAt) {
    throw new FaultError({
      kind: 'request-invalid',
      param: 'expiresAt',
      problem: 'Give expiresIn or expiresAt, not both.',
    })
  }
  if (expiresIn !== undefined && expiresIn !== null) return { in: expiresIn }
  if (expiresAt !== undefined && expiresAt !== null) return { at: expiresAt }
  return expiresIn === undefined && expiresAt === undefined ? undefined : null
}

function isAskedFor({ team, owner }: Key, asked: z.output<typeof KeyQuery>): boolean {
  const isOf = (kind: 'person' | 'service', name: string | undefined): boolean =>
    name === undefined || (owner?.kind === kind && owner.name === name)
  return (
    (asked.team === undefined || team === asked.team) && isOf('service', asked.service) && isOf('person', asked.person)
  )
}
