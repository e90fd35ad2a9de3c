/** Usage: sums by hour, kept in the transaction that takes the requests in, so that each counts exactly once. */
import type { Kysely, Transaction } from 'kysely'
import type { RequestStore, UsageRow } from '../../domain/journal/index.ts'
import type { Tables } from './schema.ts'

type Row = Tables['usage_hours']
type Counts = Omit<Row, 'hour' | 'key' | 'team' | 'model' | 'version' | 'currency'>

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
  'gpu_ms',
  'cost',
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
        currency: request.currency ?? '',
      }
      const id = JSON.stringify(place)
      const row = rows.get(id) ?? { ...place, ...nothing() }
      rows.set(id, row)
      row.requests += times
      row[request.outcome] += times
      row.input_tokens += times * (request.input_tokens ?? 0)
      row.output_tokens += times * (request.output_tokens ?? 0)
      row.gpu_ms += times * (request.gpu_ms ?? 0)
      row.cost += times * (request.cost ?? 0)
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
  gpu_ms: 0,
  cost: 0,
})

export const addUsage = (trx: Transaction<Tables>, change: UsageChange): Promise<void> => addRows(trx, change.rows())

/** Moves what these keys used, up to a moment's hour, under the name of nobody. The sums stay what they were. */
export async function eraseUsage(
  trx: Transaction<Tables>,
  { keys, until, under }: { keys: readonly string[]; until: number; under: string },
): Promise<void> {
  const theirs = trx.selectFrom('usage_hours').where('key', 'in', keys).where('hour', '<=', until)
  for (;;) {
    const hour = (await theirs.select('hour').limit(1).executeTakeFirst())?.hour
    if (hour === undefined) return
    const places = new Map<string, Row>()
    for (const row of await theirs.selectAll().where('hour', '=', hour).execute()) {
      const id = JSON.stringify([row.team, row.model, row.version, row.currency])
      const sum = places.get(id) ?? { ...row, key: under, ...nothing() }
      places.set(id, sum)
      for (const name of sums) sum[name] += row[name]
    }
    await addRows(trx, [...places.values()])
    await trx.deleteFrom('usage_hours').where('key', 'in', keys).where('hour', '=', hour).execute()
  }
}

async function addRows(trx: Transaction<Tables>, rows: readonly Row[]): Promise<void> {
  for (let at = 0; at < rows.length; at += 500) {
    await trx
      .insertInto('usage_hours')
      .values(rows.slice(at, at + 500))
      .onConflict(conflict =>
        conflict
          .columns(['hour', 'key', 'team', 'model', 'version', 'currency'])
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
    .select([by, 'currency'])
    .select(({ fn }) => sums.map(sum => fn.sum<number>(sum).as(sum)))
  if (since !== undefined) query = query.where('hour', '>=', Math.floor(since / hourMs) * hourMs)
  if (until !== undefined) query = query.where('hour', '<', Math.ceil(until / hourMs) * hourMs)
  const rows = await query
    .groupBy([by, 'currency'])
    .having(({ fn }) => fn.sum<number>('usage_hours.requests'), '>', 0)
    .orderBy(by)
    .orderBy('currency')
    .execute()
  const aliases = by === 'key' ? await readAliases(db) : null
  const named = new Map<string, UsageRow>()
  for (const row of rows) {
    const name = row[by] || null
    const sum = named.get(row[by]) ?? { name, alias: aliases?.get(name ?? '') ?? null, ...noUsage() }
    named.set(row[by], addUp(sum, row))
  }
  return [...named.values()].toSorted((a, b) => b.requests - a.requests)
}

const noUsage = (): Omit<UsageRow, 'name' | 'alias'> => ({
  ...{ requests: 0, ok: 0, refused: 0, failed: 0, cancelled: 0, interrupted: 0 },
  ...{ inputTokens: 0, outputTokens: 0, gpuMs: 0, costs: [] },
})

function addUp(sum: UsageRow, row: Counts & { currency: string }): UsageRow {
  const { name, alias, costs } = sum
  return {
    ...{ name, alias },
    requests: sum.requests + row.requests,
    ok: sum.ok + row.ok,
    refused: sum.refused + row.refused,
    failed: sum.failed + row.failed,
    cancelled: sum.cancelled + row.cancelled,
    interrupted: sum.interrupted + row.interrupted,
    inputTokens: sum.inputTokens + row.input_tokens,
    outputTokens: sum.outputTokens + row.output_tokens,
    gpuMs: sum.gpuMs + row.gpu_ms,
    costs: row.currency === '' ? costs : [...costs, { currency: row.currency, amount: row.cost }],
  }
}

async function readAliases(db: Kysely<Tables>): Promise<Map<string, string | null>> {
  const rows = await db.selectFrom('keys').select(['id', 'alias']).execute()
  return new Map(rows.map(row => [row.id, row.alias]))
}
