/** Limits and budgets by LiteLLM's fields: requests and tokens a minute, requests at once, money for a while. */
import { z } from 'zod'
import { forAll, periodOf, periodProblem } from '../../domain/access/index.ts'
import type { Budget, Limits } from '../../domain/access/index.ts'
import { renderPeriod } from '../../domain/budgets/index.ts'
import { FaultError } from '../../domain/fault.ts'
import type { Instant, Millis } from '../../domain/units.ts'
import type { BoundChanges } from '../../services/access/index.ts'
import { text, toLength } from './fields.ts'

const count = z.int().nullish()

export const boundFields = {
  rpm_limit: count,
  tpm_limit: count,
  max_parallel_requests: count,
  max_budget: z.number().nullish(),
  budget_duration: text,
}
type BoundFields = z.output<z.ZodObject<typeof boundFields>>
type Bounded = { limits?: Limits; budget?: Budget }

/** The other fields. */
export function withoutBounds(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !Object.hasOwn(boundFields, name)))
}

/** What is named, and nothing else: null stands for left out. `before`: a budget's other half is taken from there. */
export function toBounds(fields: BoundFields, before: Bounded = {}): BoundChanges {
  const limits = {
    requestsPerMinute: limit('rpm_limit', fields.rpm_limit),
    tokensPerMinute: limit('tpm_limit', fields.tpm_limit),
    parallel: limit('max_parallel_requests', fields.max_parallel_requests),
  }
  const budget = toBudget(fields, before.budget?.unit === 'money' ? before.budget : undefined)
  return {
    ...(Object.values(limits).every(each => each === undefined) ? {} : { limits }),
    ...(budget === undefined ? {} : { budget }),
  }
}

/** In LiteLLM 0 lets nothing through, and there is a plainer way to say that. */
function limit(field: string, value: number | null | undefined): number | undefined {
  if (value === null || value === undefined) return undefined
  if (value > 0) return value
  return invalid(field, 'A limit is a whole number above 0. To let nothing through, block the key (POST /key/block).')
}

function toBudget({ max_budget: amount, budget_duration: duration }: BoundFields, before: Budget | undefined) {
  const most = amount ?? before?.amount
  const said = (amount !== null && amount !== undefined) || duration !== null
  // A duration alone bounds nothing, in LiteLLM too.
  if (!said || most === undefined) return undefined
  if (most < 0) invalid('max_budget', 'A budget is a number from 0 on.')
  return { amount: most, unit: 'money' as const, every: toPeriod(duration) ?? before?.every ?? forAll }
}

function toPeriod(duration: string | null): Millis | null {
  if (duration === null) return null
  const every = toLength(duration, 'budget_duration')
  const problem = periodProblem(every)
  return problem === null ? every : invalid('budget_duration', problem)
}

/** Budgets in tokens or GPU-seconds have no fields in LiteLLM. */
export function fromBounds({ limits, budget }: Bounded, now: Instant) {
  const money = budget?.unit === 'money' ? budget : null
  const begins = money !== null && money.every !== forAll ? money : null
  return {
    max_budget: money?.amount ?? null,
    budget_duration: begins === null ? null : renderPeriod(begins.every),
    budget_reset_at: begins === null ? null : new Date(periodOf(begins, now).end).toISOString(),
    tpm_limit: limits?.tokensPerMinute ?? null,
    rpm_limit: limits?.requestsPerMinute ?? null,
    max_parallel_requests: limits?.parallel ?? null,
  }
}

function invalid(param: string, problem: string): never {
  throw new FaultError({ kind: 'request-invalid', param, problem })
}
