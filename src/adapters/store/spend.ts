/** Spending: what budgets count, summed up by minute, hour and day in the transaction that takes the requests in. */
import type { Kysely, Transaction } from 'kysely'
import { spans } from '../../domain/access/index.ts'
import type { RequestStore, SpentAsk, SpentRow } from '../../domain/journal/index.ts'
import { millis, tokens } from '../../domain/units.ts'
import type { Tables } from './schema.ts'

type Row = Tables['spend']
type Place = Omit<Row, 'tokens' | 'gpu_ms' | 'money'>

const sums = ['tokens', 'gpu_ms', 'money'] as const
/** Names a statement: their values stay well under SQLite's 32,766 parameters. */
const namesAtOnce = 500
const hourMs = 3_600_000

/** What a batch of one epoch changes, summed up before the database hears of it. */
export type SpendChange = ReturnType<typeof startSpend>

export function startSpend(epoch: string) {
  const rows = new Map<string, Row>()

  function put(place: Place, more: Pick<Row, (typeof sums)[number]>): void {
    const id = JSON.stringify(place)
    const row = rows.get(id) ?? { ...place, tokens: 0, gpu_ms: 0, money: 0 }
    rows.set(id, row)
    for (const sum of sums) row[sum] += more[sum]
  }

  return {
    rows: () => [...rows.values()],
    /** A request that has ended. Of one that was thought interrupted nothing was known, so there is nothing to take back. */
    add(request: Tables['requests']): void {
      const more = { tokens: tokensOf(request), gpu_ms: request.gpu_ms ?? 0, money: request.cost ?? 0 }
      if (sums.every(sum => more[sum] === 0)) return
      const holders = [
        { subject: 'key' as const, name: request.key },
        { subject: 'team' as const, name: request.team },
      ]
      for (const { subject, name } of holders) {
        if (name === null) continue
        for (const { name: span, length } of spans) {
          const at = Math.floor(request.at / length) * length
          put({ subject, name, span, at, epoch, currency: request.currency ?? '' }, more)
        }
      }
    },
  }
}

/** What the engine said, else what was estimated, else what is known of it. */
function tokensOf({
  input_tokens: input,
  output_tokens: output,
  estimated_tokens: estimated,
}: Tables['requests']): number {
  if (input !== null && output !== null) return input + output
  return estimated ?? (input ?? 0) + (output ?? 0)
}

export async function addSpend(trx: Transaction<Tables>, change: SpendChange): Promise<void> {
  const rows = change.rows()
  for (let at = 0; at < rows.length; at += namesAtOnce) {
    await trx
      .insertInto('spend')
      .values(rows.slice(at, at + namesAtOnce))
      .onConflict(conflict =>
        conflict
          .columns(['subject', 'name', 'span', 'at', 'epoch', 'currency'])
          .doUpdateSet(({ eb, ref }) =>
            Object.fromEntries(sums.map(sum => [sum, eb(ref(`spend.${sum}`), '+', ref(`excluded.${sum}`))])),
          ),
      )
      .execute()
  }
  await dropOld(trx, rows)
}

/** Drops what is too old to matter, as seen from the oldest of a batch; looked at in the first minute of each hour only. */
async function dropOld(trx: Transaction<Tables>, rows: readonly Row[]): Promise<void> {
  const minutes = rows.filter(row => row.span === 'minute').map(({ at }) => at)
  const oldest = Math.min(...minutes)
  if (minutes.length === 0 || oldest % hourMs !== 0) return
  for (const { name: span, keptFor } of spans) {
    if (keptFor === null) continue
    await trx
      .deleteFrom('spend')
      .where('span', '=', span)
      .where('at', '<', oldest - keptFor)
      .execute()
  }
}

export async function readSpent(
  db: Kysely<Tables>,
  ask: SpentAsk,
): Promise<Awaited<ReturnType<RequestStore['spent']>>> {
  const found: SpentRow[] = []
  for (const [subject, names] of [
    ['key', ask.keys],
    ['team', ask.teams],
  ] as const) {
    for (let at = 0; at < names.length; at += namesAtOnce) {
      const rows = await db
        .selectFrom('spend')
        .select(['name', 'epoch', 'currency'])
        .select(({ fn }) => sums.map(sum => fn.sum<number>(sum).as(sum)))
        .where('subject', '=', subject)
        .where('name', 'in', names.slice(at, at + namesAtOnce))
        .where('span', '=', ask.span)
        .where('at', '>=', ask.from)
        .where('at', '<', ask.until)
        .groupBy(['name', 'epoch', 'currency'])
        .orderBy('name')
        .orderBy('epoch')
        .orderBy('currency')
        .execute()
      for (const { name, epoch, currency, tokens: counted, gpu_ms: gpuMs, money } of rows)
        found.push({
          ...{ subject, name, epoch, currency: currency || null },
          ...{ tokens: tokens(counted), gpuMs: millis(gpuMs), money },
        })
    }
  }
  return found
}
