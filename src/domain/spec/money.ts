/** Rules for costs and budgets: one currency, and periods that sums are kept by. Looks at the document as written. */
import { periodProblem } from '../access/index.ts'
import { asText, items, printPath, valueAt } from './document.ts'
import type { Path } from './document.ts'
import { duration } from './measures.ts'
import { clip, problem } from './problem.ts'
import type { SpecProblem } from './problem.ts'

const usualCurrency = 'EUR'
const periods = duration('How long.')

export function checkMoney(document: unknown): SpecProblem[] {
  return [
    ...checkCurrencies(document),
    ...items(document, ['teams']).flatMap(({ path }) => checkPeriod(document, path)),
  ]
}

/** What requests cost is told in one currency, and nothing is converted: rates of exchange are nobody's to guess. */
function checkCurrencies(document: unknown): SpecProblem[] {
  const costs = items(document, ['hosts']).map(({ path }) => [...path, 'cost'])
  const budgets = items(document, ['teams'])
    .map(({ path }) => [...path, 'budget'])
    .filter(path => (valueAt(document, [...path, 'unit']) ?? 'money') === 'money')
  const told = [...costs, ...budgets]
    .filter(path => valueAt(document, path) !== undefined)
    .map(path => ({ path, currency: asText(valueAt(document, [...path, 'currency'])) ?? usualCurrency }))
  const [first, ...others] = told
  return others
    .filter(({ currency }) => currency !== first?.currency)
    .map(({ path, currency }) =>
      problem(
        [...path, 'currency'],
        `"${clip(currency)}" is another currency than the "${clip(first?.currency ?? '')}" of ${printPath(first?.path ?? [])}: costs and budgets are told in one, and nothing is converted`,
      ),
    )
}

function checkPeriod(document: unknown, path: Path): SpecProblem[] {
  const at = [...path, 'budget', 'every']
  const every = periods.safeParse(valueAt(document, at))
  // What is no duration at all is the schema's to say.
  const wrong = every.success ? periodProblem(every.data) : null
  return wrong === null ? [] : [problem(at, wrong)]
}
