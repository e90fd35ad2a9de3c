/** `/api/v1/teams`. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Teams } from '../../services/access/index.ts'
import {
  answers,
  BudgetBody,
  ChangedTeamAnswer,
  InForce,
  LimitsBody,
  Metadata,
  Models,
  Priority,
  TeamAnswer,
  toTeamAnswer,
} from './schemas.ts'

const NewTeamBody = z.strictObject({
  name: z.string(),
  models: Models.nullable().default(null).describe('Public model names; null: every model.'),
  limits: LimitsBody.nullable().default(null),
  budget: BudgetBody.nullable().default(null),
  priority: Priority.nullable().default(null),
  metadata: Metadata.default({}),
})
const TeamChange = z
  .strictObject({
    models: Models.nullable(),
    limits: LimitsBody.nullable(),
    budget: BudgetBody.nullable(),
    priority: Priority.nullable(),
    metadata: Metadata,
  })
  .partial()
const Name = z.object({ name: z.string() })
const tags = ['teams']

export const teamRoutes =
  ({ teams }: { teams: Teams }): FastifyPluginAsyncZod =>
  async app => {
    app.get(
      '/teams',
      { schema: { tags, response: answers(200, z.object({ teams: z.array(TeamAnswer) })) } },
      async () => ({ teams: (await teams.list()).map(toTeamAnswer) }),
    )

    app.post(
      '/teams',
      { schema: { tags, body: NewTeamBody, response: answers(201, ChangedTeamAnswer) } },
      async (request, reply) => {
        const { team, inForce, warnings } = await teams.create(request.body)
        return reply.code(201).send({ ...toTeamAnswer(team), inForce, warnings })
      },
    )

    app.get('/teams/:name', { schema: { tags, params: Name, response: answers(200, TeamAnswer) } }, async request =>
      toTeamAnswer(await teams.get(request.params.name)),
    )

    app.patch(
      '/teams/:name',
      {
        schema: { tags, params: Name, body: TeamChange, response: answers(200, ChangedTeamAnswer) },
      },
      async request => {
        const { models, metadata, ...bounds } = request.body
        const { team, inForce, warnings } = await teams.update(request.params.name, {
          ...(models === undefined ? {} : { models }),
          ...(metadata === undefined ? {} : { metadata }),
          ...bounds,
        })
        return { ...toTeamAnswer(team), inForce, warnings }
      },
    )

    app.delete(
      '/teams/:name',
      {
        schema: { tags, params: Name, response: answers(200, TeamAnswer.extend({ inForce: InForce })) },
      },
      async request => {
        const { team, inForce } = await teams.remove(request.params.name)
        return { ...toTeamAnswer(team), inForce }
      },
    )
  }
