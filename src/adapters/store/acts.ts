/** Acts in the database, as ingestion brings them. Queries that SQLite and PostgreSQL both run. */
import type { Transaction } from 'kysely'
import { retainedAct } from '../../domain/journal/index.ts'
import type { ActRecord, ActRow, Batch, Removal } from '../../domain/journal/index.ts'
import { actId, instant, keyId } from '../../domain/units.ts'
import type { Tables } from './schema.ts'

type StoredAct = Tables['acts']

/** Acts of epochs that no controller began are passed over: verification tells of them. */
export async function putActs(trx: Transaction<Tables>, { epoch, records }: Batch): Promise<void> {
  const acts = records.filter(record => record.t === 'act')
  if (acts.length === 0) return
  const known = await trx.selectFrom('act_epochs').select('epoch').where('epoch', '=', epoch).executeTakeFirst()
  if (known === undefined) return
  for (let at = 0; at < acts.length; at += 500) {
    await trx
      .insertInto('acts')
      .values(acts.slice(at, at + 500).map(act => toStored(act, epoch)))
      .onConflict(conflict => conflict.column('id').doNothing())
      .execute()
  }
  // A database that was lost learns from the journal what had gone before.
  for (const act of acts) for (const removal of removalsOf(act)) await putRemoval(trx, removal)
}

/** What went stays gone: a removal only ever moves on. */
export async function putRemoval(trx: Transaction<Tables>, removal: Removal): Promise<void> {
  const { epoch, whole, ...rest } = removal
  const row = { ...rest, whole: whole ? 1 : 0 }
  await trx
    .insertInto('removals')
    .values({ epoch, ...row })
    .onConflict(conflict => conflict.column('epoch').doUpdateSet(row).where('removals.segment', '<=', removal.segment))
    .execute()
  await trx.deleteFrom('anchors').where('epoch', '=', epoch).where('segment', '<=', removal.segment).execute()
}

function removalsOf({ what, at, decision, detail }: ActRecord): Removal[] {
  if (what !== retainedAct || decision !== 'done') return []
  // Written by `retain` in services/audit.
  const { rule, removed } = (detail ?? {}) as { rule?: string; removed?: Omit<Removal, 'at' | 'rule'>[] }
  return (removed ?? []).map(each => ({ ...each, at, rule: rule ?? '' }))
}

function toStored(
  { id, at, who, alias, from, what, target, decision, why, detail }: ActRecord,
  epoch: string,
): StoredAct {
  const told = detail === null ? null : JSON.stringify(detail)
  return { id, epoch, at, who, alias, peer: from, what, target, decision, why, detail: told }
}

export function toActRow({ id, at, who, alias, peer, what, target, decision, why, detail }: StoredAct): ActRow {
  return {
    id: actId(id),
    time: new Date(at).toISOString(),
    who: toWho(who),
    from: peer,
    ...{ alias, what, target, decision, why },
    // Put in by `toStored`.
    detail: detail === null ? null : (JSON.parse(detail) as Record<string, unknown>),
  }
}

export function toActRecord(row: StoredAct): ActRecord {
  const { time: _, ...act } = toActRow(row)
  return { t: 'act', at: instant(row.at), ...act }
}

const toWho = (who: string | null): ActRecord['who'] =>
  who === null || who === 'admin' || who === 'controller' ? who : keyId(who)
