/** Options that bound how much a key or a team may use, as the administration takes them, and how its answer is worded. */
import { InvalidArgumentError, type Command } from 'commander'
import { z } from 'zod'
import { forAll, type Budget, type Limits } from '../../domain/access/index.ts'
import { parseBudget, renderPeriod } from '../../domain/budgets/index.ts'

/** `none` takes one away. */
type Limit = number | 'none'
export type BoundOptions = {
  requestsPerMinute?: Limit
  tokensPerMinute?: Limit
  parallel?: Limit
  budget?: Budget | 'none'
}

/** What an answer tells of bounds. */
export const Bounded = z.object({
  limits: z.record(z.string(), z.number()).nullable(),
  budget: z
    .object({ amount: z.number(), unit: z.string(), currency: z.string().nullable(), every: z.string().nullable() })
    .nullable(),
})

/** `mayBeNone`: for what exists, where a bound may be taken away. */
export function addBoundOptions(command: Command, { mayBeNone = false }: { mayBeNone?: boolean } = {}): Command {
  const or = mayBeNone ? ", or 'none'" : ''
  return command
    .option('--requests-per-minute <count>', `Requests in any 60 seconds${or}.`, toLimit(mayBeNone))
    .option('--tokens-per-minute <count>', `Tokens in any 60 seconds, prompts and answers${or}.`, toLimit(mayBeNone))
    .option('--parallel <count>', `Requests at once${or}.`, toLimit(mayBeNone))
    .option(
      '--budget <budget>',
      `What may be spent: '20 EUR/30d', '5000 tokens/1d', '3600 gpu-seconds/1d'${or}.`,
      toBudget(mayBeNone),
    )
}

const toLimit =
  (mayBeNone: boolean) =>
  (text: string): Limit => {
    if (mayBeNone && text === 'none') return text
    if (/^[1-9]\d{0,14}$/.test(text)) return Number(text)
    throw new InvalidArgumentError(`It must be a whole number above 0${mayBeNone ? ", or 'none'" : ''}.`)
  }

const toBudget =
  (mayBeNone: boolean) =>
  (text: string): Budget | 'none' => {
    if (mayBeNone && text === 'none') return text
    const parsed = parseBudget(text)
    if (!parsed.ok) throw new InvalidArgumentError(parsed.problem)
    return parsed.budget
  }

/** Only what was said: what is left out stays as it is. */
export function toBoundsBody({ budget, ...options }: BoundOptions): { limits?: object; budget?: object | null } {
  const { requestsPerMinute, tokensPerMinute, parallel } = options
  const said = Object.entries({ requestsPerMinute, tokensPerMinute, parallel } satisfies Record<keyof Limits, unknown>)
    .filter(([, limit]) => limit !== undefined)
    .map(([name, limit]) => [name, limit === 'none' ? null : limit])
  return {
    ...(said.length === 0 ? {} : { limits: Object.fromEntries(said) }),
    ...(budget === undefined ? {} : { budget: budget === 'none' ? null : toBody(budget) }),
  }
}

function toBody({ amount, unit, currency, every }: Budget): object {
  return { amount, unit, currency, ...(every === forAll ? {} : { every: renderPeriod(every) }) }
}

/** `60 requests/min, 4 at once, 20 EUR/30d`; `null`: nothing bounds it. */
export function sayBounds({ limits, budget }: z.output<typeof Bounded>): string | null {
  const said = [
    ...Object.entries(limits ?? {}).map(([name, limit]) => `${limit} ${limitWords[name] ?? name}`),
    ...(budget === null ? [] : [sayBudget(budget)]),
  ]
  return said.length === 0 ? null : said.join(', ')
}

const limitWords: Record<string, string> = {
  requestsPerMinute: 'requests/min',
  tokensPerMinute: 'tokens/min',
  parallel: 'at once',
}

const sayBudget = ({ amount, unit, currency, every }: NonNullable<z.output<typeof Bounded>['budget']>): string =>
  `${amount} ${currency ?? unit}${every === null ? '' : `/${every}`}`
