/** `/api/v1/flags`: features switched while the service runs. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Flags, FlagState } from '../../services/set-flags.ts'
import { answers, toIso } from './schemas.ts'

const FlagAnswer = z.object({
  name: z.string(),
  teams: z.array(z.string()).describe('Whom it is on for; none: everybody.'),
  share: z.number().describe('For this part of their keys, 0 to 1.'),
  answers: z
    .object({ model: z.string(), by: z.string() })
    .nullable()
    .describe('Requests for a model that another one answers while it is on.'),
  spec: z
    .object({ teams: z.array(z.string()), share: z.number() })
    .nullable()
    .describe('What the spec says; null: it is as the spec says.'),
  setAt: z.string().nullable(),
})
const Change = z.strictObject({
  teams: z.array(z.string().min(1).max(63)).max(1000).optional(),
  share: z.number().min(0).max(1).optional(),
})
const Name = z.object({ name: z.string().min(1).max(63) })
const tags = ['flags']

export type FlagAdmin = Pick<Flags, 'list' | 'set' | 'reset'>

export const flagRoutes =
  ({ flags }: { flags: FlagAdmin }): FastifyPluginAsyncZod =>
  async app => {
    app.get(
      '/flags',
      { schema: { tags, response: answers(200, z.object({ flags: z.array(FlagAnswer) })) } },
      async () => ({ flags: flags.list().map(toAnswer) }),
    )
    app.patch(
      '/flags/:name',
      { schema: { tags, params: Name, body: Change, response: answers(200, FlagAnswer) } },
      async ({ params, body: { teams, share } }) =>
        toAnswer(
          await flags.set(params.name, {
            ...(teams === undefined ? {} : { teams }),
            ...(share === undefined ? {} : { share }),
          }),
        ),
    )
    app.delete('/flags/:name', { schema: { tags, params: Name, response: answers(200, FlagAnswer) } }, async request =>
      toAnswer(await flags.reset(request.params.name)),
    )
  }

const toAnswer = ({ setAt, ...state }: FlagState): z.output<typeof FlagAnswer> => ({
  ...state,
  setAt: setAt === null ? null : toIso(setAt),
})
