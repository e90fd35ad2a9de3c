/** Usage: sums by hour, kept in the transaction that takes the requests in, so that each counts exactly once. */
import type { Kysely, Transaction } from 'kysely'
import type { RequestStore, UsageRow } from '../../domain/journal/index.ts'
import type { Tables } from './schema.ts'

type Row = Tables['usage_hours']
type Counts = Omit<Row, 'hour' | 'key' | 'team' | 'model' | 'version'>

const hourMs = 3_600_000
const sums = [
  'requests',
  'ok',
  'refused',
  'failed',
  'cancelled',
  'interrupted',
  'input_tokens',
  'output_tokens',
] as const

/** What a batch changes, summed up before the database hears of it. */
export type UsageChange = ReturnType<typeof startUsage>

export function startUsage() {
  const rows = new Map<string, Row>()
  return {
    rows: () => [...rows.values()],
    /** An open request does not count yet. `times`: 1 to count it, -1 to take it back. */
    add(request: Tables['requests'], times: 1 | -1): void {
      if (request.outcome === 'open') return
      const place = {
        hour: Math.floor(request.at / hourMs) * hourMs,
        key: request.key ?? '',
        team: request.team ?? '',
        model: request.model ?? '',
        version: request.version ?? '',
      }
      const id = JSON.stringify(place)
      const row = rows.get(id) ?? { ...place, ...nothing() }
      rows.set(id, row)
      row.requests += times
      row[request.outcome] += times
      row.input_tokens += times * (request.input_tokens ?? 0)
      row.output_tokens += times * (request.output_tokens ?? 0)
    },
  }
}

const nothing = (): Counts => ({
  requests: 0,
  ok: 0,
  refused: 0,
  failed: 0,
  cancelled: 0,
  interrupted: 0,
  input_tokens: 0,
  output_tokens: 0,
})

export async function addUsage(trx: Transaction<Tables>, change: UsageChange): Promise<void> {
  const rows = change.rows()
  for (let at = 0; at < rows.length; at += 500) {
    await trx
      .insertInto('usage_hours')
      .values(rows.slice(at, at + 500))
      .onConflict(conflict =>
        conflict
          .columns(['hour', 'key', 'team', 'model', 'version'])
          .doUpdateSet(({ eb, ref }) =>
            Object.fromEntries(sums.map(sum => [sum, eb(ref(`usage_hours.${sum}`), '+', ref(`excluded.${sum}`))])),
          ),
      )
      .execute()
  }
}

export async function readUsage(
  db: Kysely<Tables>,
  { by, since, until }: Parameters<RequestStore['usage']>[0],
): Promise<UsageRow[]> {
  let query = db
    .selectFrom('usage_hours')
    .select(by)
    .select(({ fn }) => sums.map(sum => fn.sum<number>(sum).as(sum)))
  if (since !== undefined) query = query.where('hour', '>=', Math.floor(since / hourMs) * hourMs)
  if (until !== undefined) query = query.where('hour', '<', Math.ceil(until / hourMs) * hourMs)
  const rows = await query
    .groupBy(by)
    .having(({ fn }) => fn.sum<number>('usage_hours.requests'), '>', 0)
    .orderBy(({ fn }) => fn.sum('usage_hours.requests'), 'desc')
    .orderBy(by)
    .execute()
  const aliases = by === 'key' ? await readAliases(db) : null
  return rows.map(row => {
    const name = row[by] || null
    return {
      name,
      alias: aliases?.get(name ?? '') ?? null,
      requests: row.requests,
      ok: row.ok,
      refused: row.refused,
      failed: row.failed,
      cancelled: row.cancelled,
      interrupted: row.interrupted,
      inputTokens: row.input_tokens,
      outputTokens: row.output_tokens,
    }
  })
}

async function readAliases(db: Kysely<Tables>): Promise<Map<string, string | null>> {
  const rows = await db.selectFrom('keys').select(['id', 'alias']).execute()
  return new Map(rows.map(row => [row.id, row.alias]))
}
