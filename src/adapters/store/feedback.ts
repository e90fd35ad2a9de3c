/** What people thought of answers, as the journal tells it. */
import type { Transaction } from 'kysely'
import type { Batch, FeedbackRecord } from '../../domain/journal/index.ts'
import { putEvents } from './releases.ts'
import type { Tables } from './schema.ts'

/**
 * The last word of each key counts, and to a release the first one that it hears. A gateway that does not know the request
 * leaves it to the database whether it is this key's; one that nobody knows is dropped.
 */
export async function putFeedback(trx: Transaction<Tables>, records: Batch['records']): Promise<void> {
  for (const record of records) if (record.t === 'feedback') await putOne(trx, record)
}

async function putOne(trx: Transaction<Tables>, record: FeedbackRecord): Promise<void> {
  const { request, key, at, score, checked, release } = record
  const row = await trx
    .selectFrom('requests')
    .select(['key', 'model', 'version'])
    .where('id', '=', request)
    .executeTakeFirst()
  if (!checked && key !== 'admin' && row?.key !== key) return
  const known = { model: row?.model ?? null, version: row?.version ?? release?.version ?? null }
  const before = await trx
    .selectFrom('feedback')
    .select('at')
    .where('request', '=', request)
    .where('key', '=', key)
    .executeTakeFirst()
  await trx
    .insertInto('feedback')
    .values({ request, key, at, score, ...known })
    .onConflict(conflict =>
      conflict.columns(['request', 'key']).doUpdateSet({ at, score }).where('feedback.at', '<=', at),
    )
    .execute()
  if (before !== undefined || release === undefined) return
  const { id, step, arm, unit } = release
  await putEvents(trx, id, [{ kind: 'feedback', at, step, arm, unit, score }])
}
