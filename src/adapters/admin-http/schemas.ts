/** What administration takes and answers, in JSON. Times are ISO 8601, UTC. */
import { z } from 'zod'
import { forAll, keyStatus, parseDuration, routeScopes } from '../../domain/access/index.ts'
import type { Budget, Key, Team } from '../../domain/access/index.ts'
import { renderPeriod } from '../../domain/budgets/index.ts'
import { instant, modelName } from '../../domain/units.ts'
import type { Instant } from '../../domain/units.ts'

const metadataBytes = 16 * 1024
const budgetUnits = ['money', 'gpu-seconds', 'tokens'] as const
const priorities = ['low', 'normal', 'high'] as const

/** Sent to every gateway, so not a place for documents. */
export const Metadata = z
  .record(z.string(), z.unknown())
  .refine(
    value => JSON.stringify(value).length <= metadataBytes,
    `Metadata may have ${metadataBytes} characters as JSON.`,
  )

export const Models = z
  .array(z.string().min(1).max(256))
  .max(1000)
  .transform(names => [...new Set(names)].map(modelName))

export const Owner = z
  .strictObject({ kind: z.enum(['person', 'service']), name: z.string().min(1).max(128) })
  .describe('Whom the key is for: a person, or a service account (a program).')

export const Routes = z
  .array(z.enum(routeScopes))
  .transform(names => [...new Set(names)])
  .describe('What it may be used for; null: everything.')

export const Addresses = z
  .array(z.string().min(1).max(64))
  .max(100)
  .transform(addresses => [...new Set(addresses)])
  .describe('IP addresses and networks (10.0.0.0/8) it may be used from; null: from anywhere.')

export const Duration = z
  .string()
  .transform((text, context) => {
    const length = parseDuration(text)
    if (length !== null) return length
    context.addIssue({
      code: 'custom',
      message: `'${text.slice(0, 40)}' is no duration. Write a count and a unit: 30s, 30m, 12h, 90d, 2w.`,
    })
    return z.NEVER
  })
  .describe('A count and a unit: 30s, 30m, 12h, 90d, 2w.')

const limit = (meaning: string) => z.int().min(1).nullish().describe(meaning)

export const LimitsBody = z
  .strictObject({
    requestsPerMinute: limit('Requests in any 60 seconds.'),
    tokensPerMinute: limit('Tokens in any 60 seconds, prompts and answers together.'),
    parallel: limit('Requests at once.'),
  })
  .describe('What is left out stays as it is; null takes it away.')

export const BudgetBody = z
  .strictObject({
    amount: z.number().min(0),
    unit: z.enum(budgetUnits).default('money'),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, 'A currency has three capital letters, such as EUR.')
      .nullish()
      .describe('ISO 4217; left out: the one that costs are told in, and there is no other.'),
    every: Duration.optional().describe('The period: whole minutes, hours or days; left out: once and for all.'),
  })
  .transform(({ every = forAll, ...budget }) => ({ ...budget, every }))
  .describe('What may be spent in each period. Periods follow one another from 1970 on, in UTC.')

export const Priority = z.enum(priorities)

export const Moment = z.iso.datetime({ offset: true }).transform(text => instant(Date.parse(text)))

export const InForce = z.object({
  acknowledged: z.array(z.string()).describe('Gateways that have the change in force.'),
  waitingFor: z
    .array(z.string())
    .describe('Gateways that may still serve what they knew: slow, or lost in the last ten minutes.'),
})

const LimitsAnswer = z
  .object({
    requestsPerMinute: z.number().optional(),
    tokensPerMinute: z.number().optional(),
    parallel: z.number().optional(),
  })
  .nullable()
export const BudgetAnswer = z.object({
  amount: z.number(),
  unit: z.enum(budgetUnits),
  currency: z.string().nullable(),
  every: z.string().nullable().describe('null: once and for all.'),
})

export const KeyAnswer = z.object({
  id: z.string(),
  alias: z.string().nullable(),
  team: z.string().nullable(),
  owner: z.object({ kind: z.enum(['person', 'service']), name: z.string() }).nullable(),
  models: z.array(z.string()).nullable().describe('null: whatever the team may use; without a team, every model.'),
  routes: z.array(z.enum(routeScopes)).nullable().describe('null: every route for models.'),
  addresses: z.array(z.string()).nullable().describe('null: from anywhere.'),
  createdAt: z.string(),
  expiresAt: z.string().nullable(),
  blockedAt: z.string().nullable().describe('Refused since then, until it is unblocked.'),
  revokedAt: z.string().nullable(),
  status: z.enum(['active', 'revoked', 'blocked', 'expired']),
  limits: LimitsAnswer.describe('null: only what its team has.'),
  budget: BudgetAnswer.nullable().describe('null: only what its team has.'),
  metadata: z.record(z.string(), z.unknown()),
})
export const ChangedKeyAnswer = KeyAnswer.extend({ inForce: InForce, warnings: z.array(z.string()) })
export const BornKeyAnswer = ChangedKeyAnswer.extend({ key: z.string().describe('The key itself: shown here, once.') })
export const RotatedKeyAnswer = BornKeyAnswer.extend({
  previousValidUntil: z.string().describe('Until then the old secret works too.'),
})

export const TeamAnswer = z.object({
  name: z.string(),
  models: z.array(z.string()).nullable().describe('null: every model.'),
  limits: LimitsAnswer.describe('For all its keys together; null: none.'),
  budget: BudgetAnswer.nullable().describe('For all its keys together; null: none.'),
  priority: z.enum(priorities).describe('Who goes first when requests wait.'),
  metadata: z.record(z.string(), z.unknown()),
  createdAt: z.string(),
  source: z.enum(['spec', 'api']).describe('spec: declared there, and read-only here.'),
})
export const ChangedTeamAnswer = TeamAnswer.extend({ inForce: InForce, warnings: z.array(z.string()) })

export const ErrorAnswer = z.object({
  error: z.object({ message: z.string(), type: z.string(), param: z.string().nullable(), code: z.string().nullable() }),
})

/** A route's answers: its own, and the errors that every route may give. */
export const answers = <S extends number, T extends z.ZodType>(status: S, schema: T) =>
  // A computed key widens to a string index; the key is exactly `status`.
  ({ [status]: schema, '4xx': ErrorAnswer, '5xx': ErrorAnswer }) as Record<S, T> &
    Record<'4xx' | '5xx', typeof ErrorAnswer>

export function toKeyAnswer(key: Key, now: Instant): z.output<typeof KeyAnswer> {
  const { id, alias, team, owner, models, routes, addresses, metadata } = key
  return {
    id,
    alias,
    team,
    owner,
    models,
    routes,
    addresses,
    createdAt: toIso(key.createdAt),
    expiresAt: toIsoOrNull(key.expiresAt),
    blockedAt: toIsoOrNull(key.blockedAt),
    revokedAt: toIsoOrNull(key.revokedAt),
    status: keyStatus(key, now),
    ...toBoundsAnswer(key),
    metadata,
  }
}

export function toTeamAnswer(team: Team): z.output<typeof TeamAnswer> {
  const { name, models, priority = 'normal', metadata, createdAt, source } = team
  return { name, models, ...toBoundsAnswer(team), priority, metadata, createdAt: toIso(createdAt), source }
}

const toBoundsAnswer = ({ limits, budget }: Pick<Key, 'limits' | 'budget'>) => ({
  limits: limits ?? null,
  budget: budget === undefined ? null : toBudgetAnswer(budget),
})

export const toBudgetAnswer = ({ every, ...budget }: Budget): z.output<typeof BudgetAnswer> => ({
  ...budget,
  every: every === forAll ? null : renderPeriod(every),
})

export const toIso = (moment: Instant): string => new Date(moment).toISOString()
const toIsoOrNull = (moment: Instant | null): string | null => (moment === null ? null : toIso(moment))
