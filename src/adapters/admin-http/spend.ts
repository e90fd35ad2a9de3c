/** `/api/v1/spend`: what keys and teams have spent of their budgets, and what an hour of each version's engines costs. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { forAll } from '../../domain/access/index.ts'
import type { VersionRoute } from '../../domain/serving/index.ts'
import type { Tallies, Tally } from '../../services/budgets/index.ts'
import { answers, BudgetAnswer, toBudgetAnswer, toIso } from './schemas.ts'

const Spend = z.object({
  subject: z.enum(['key', 'team']),
  id: z.string().describe('The key’s id, or the team’s name.'),
  name: z.string().describe('The key’s alias, if it has one; the team’s name.'),
  budget: BudgetAnswer,
  period: z.object({ start: z.string(), end: z.string().nullable().describe('null: it does not begin anew.') }),
  spent: z.number().describe('In the budget’s unit, as far as the journals were read.'),
  left: z.number().describe('Never below 0.'),
})
const Rate = z.object({
  version: z.string(),
  hourly: z.number().describe('An hour of one replica’s engine while it works.'),
  currency: z.string(),
  gpus: z.number().describe('GPUs that a replica keeps busy.'),
  estimated: z.boolean().describe('Something of it stands not in the spec, and what is usual was taken.'),
})

export type SpendParts = { tallies: Tallies; rates: () => readonly Pick<VersionRoute, 'name' | 'cost'>[] }

export const spendRoutes =
  ({ tallies, rates }: SpendParts): FastifyPluginAsyncZod =>
  async app => {
    app.get(
      '/spend',
      {
        schema: {
          tags: ['budgets'],
          response: answers(200, z.object({ spend: z.array(Spend), rates: z.array(Rate) })),
        },
      },
      async () => ({
        spend: (await tallies.now()).map(toAnswer),
        rates: rates().map(({ name, cost }) => ({ version: name, ...cost })),
      }),
    )
  }

function toAnswer({ holder, period, spent }: Tally): z.output<typeof Spend> {
  const { subject, id, name, budget } = holder
  const end = budget.every === forAll ? null : toIso(period.end)
  return {
    ...{ subject, id, name, budget: toBudgetAnswer(budget) },
    ...{ period: { start: toIso(period.start), end }, spent, left: Math.max(0, budget.amount - spent) },
  }
}
