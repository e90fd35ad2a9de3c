/** Audit in the database: search, retention, erasure. Queries that SQLite and PostgreSQL both run. */
import { sql } from 'kysely'
import type { Expression, Kysely, SqlBool, Transaction } from 'kysely'
import { isAbout } from '../../domain/journal/index.ts'
import type { AuditEntry, AuditFilter, AuditStore, Erasure, Removal, Subject } from '../../domain/journal/index.ts'
import { instant } from '../../domain/units.ts'
import { putRemoval, toActRecord, toActRow } from './acts.ts'
import { idAt, idSlackMs } from './id-at.ts'
import { toRow } from './requests.ts'
import type { Tables } from './schema.ts'
import { eraseUsage } from './usage.ts'

/** What stands where a key or a name was. */
const erased = 'erased'
/** Finished erasures are told for so long. */
const toldMs = 90 * 86_400_000
const rowsAtOnce = 500

export function openAuditStore(db: Kysely<Tables>): AuditStore {
  return {
    async search(filter) {
      const acts = filter.kinds.includes('act') ? await searchActs(db, filter) : []
      const requests = filter.kinds.includes('request') ? await searchRequests(db, filter) : []
      return [...acts, ...requests].sort(newestFirst).slice(0, filter.limit)
    },
    async hasAct(id) {
      return (await db.selectFrom('acts').select('id').where('id', '=', id).executeTakeFirst()) !== undefined
    },

    beginActs: epoch =>
      db.transaction().execute(async trx => {
        await trx
          .insertInto('act_epochs')
          .values({ epoch })
          .onConflict(conflict => conflict.column('epoch').doNothing())
          .execute()
      }),
    async epochsOfActs() {
      return (await db.selectFrom('act_epochs').select('epoch').orderBy('epoch').execute()).map(row => row.epoch)
    },

    async removals() {
      const rows = await db.selectFrom('removals').selectAll().orderBy('epoch').execute()
      return rows.map((row): Removal => ({ ...row, at: instant(row.at), whole: row.whole === 1 }))
    },
    putRemovals: removals =>
      db.transaction().execute(async trx => {
        for (const removal of removals) {
          await putRemoval(trx, removal)
          if (removal.whole) await trx.deleteFrom('act_epochs').where('epoch', '=', removal.epoch).execute()
        }
      }),
    deleteBefore: (at, limit) => db.transaction().execute(trx => deleteBefore(trx, { at, limit })),

    async erasures() {
      const rows = await db.selectFrom('erasures').select('state').orderBy('id').execute()
      // Put in by `putErasure`.
      return rows.map(row => JSON.parse(row.state) as Erasure)
    },
    putErasure: erasure =>
      db.transaction().execute(async trx => {
        const row = { at: erasure.at, done_at: erasure.doneAt, state: JSON.stringify(erasure) }
        await trx
          .insertInto('erasures')
          .values({ id: erasure.id, ...row })
          .onConflict(conflict => conflict.column('id').doUpdateSet(row))
          .execute()
        await trx
          .deleteFrom('erasures')
          .where('done_at', '<', erasure.at - toldMs)
          .execute()
      }),
    countAbout: subject => countAbout(db, subject),
    eraseAbout: (subject, limit) => eraseAbout(db, subject, limit),
    eraseKeyChanges: ids => db.transaction().execute(trx => eraseKeyChanges(trx, ids)),
    async idsByAlias(alias) {
      const rows = await db.selectFrom('requests').select('key').distinct().where('alias', '=', alias).execute()
      return rows.flatMap(row => (row.key === null || row.key === erased ? [] : [row.key]))
    },
    async aliasesOf(ids) {
      if (ids.length === 0) return []
      const rows = await db.selectFrom('requests').select('alias').distinct().where('key', 'in', ids).execute()
      return rows.flatMap(row => row.alias ?? [])
    },
    async hasOpen(epoch, until) {
      const row = await db
        .selectFrom('requests')
        .select('id')
        .where('outcome', '=', 'open')
        .where('epoch', '=', epoch)
        .where('at', '<=', until)
        .limit(1)
        .executeTakeFirst()
      return row !== undefined
    },
  }
}

const idOf = (entry: AuditEntry): string => (entry.kind === 'act' ? entry.act.id : entry.request.id)
const newestFirst = (a: AuditEntry, b: AuditEntry): number => (idOf(a) < idOf(b) ? 1 : -1)

async function searchRequests(
  db: Kysely<Tables>,
  { limit, before, since, until, who, team, model, from, decision, text }: AuditFilter,
): Promise<AuditEntry[]> {
  let query = db.selectFrom('requests').selectAll()
  if (before !== undefined) query = query.where('id', '<', before)
  if (since !== undefined) query = query.where('at', '>=', since).where('id', '>', idAt(since - idSlackMs))
  if (until !== undefined) query = query.where('at', '<', until).where('id', '<', idAt(until + idSlackMs))
  if (who !== undefined)
    query = query.where(({ or, eb }) => or([...among(eb, 'key', who.ids), eb('alias', '=', who.alias)]))
  if (team !== undefined) query = query.where('team', '=', team)
  if (model !== undefined) query = query.where('model', '=', model)
  if (from !== undefined) query = query.where('peer', '=', from)
  if (decision !== undefined) query = query.where('outcome', '=', decision === 'done' ? 'ok' : decision)
  if (text !== undefined)
    query = query.where(
      mentions(text, ['id', 'key', 'alias', 'model', 'version', 'replica', 'route', 'fault', 'choice', 'client_id']),
    )
  const rows = await query.orderBy('id', 'desc').limit(limit).execute()
  return rows.map(row => ({ kind: 'request', request: toRow(row) }))
}

async function searchActs(
  db: Kysely<Tables>,
  { limit, before, since, until, who, team, from, what, decision, text }: AuditFilter,
): Promise<AuditEntry[]> {
  let query = db.selectFrom('acts').selectAll()
  if (before !== undefined) query = query.where('id', '<', before)
  if (since !== undefined) query = query.where('at', '>=', since).where('id', '>', idAt(since - idSlackMs))
  if (until !== undefined) query = query.where('at', '<', until).where('id', '<', idAt(until + idSlackMs))
  if (who !== undefined)
    query = query.where(({ or, eb }) =>
      or([...among(eb, 'who', who.ids), ...among(eb, 'target', who.ids), eb('alias', '=', who.alias)]),
    )
  if (team !== undefined) query = query.where('what', 'like', 'team.%').where('target', '=', team)
  if (from !== undefined) query = query.where('peer', '=', from)
  if (what !== undefined && !what.includes('*')) query = query.where('what', '=', what)
  if (what?.includes('*')) query = query.where(sql<SqlBool>`what like ${globToLike(what)} escape '\\'`)
  if (decision === 'done' || decision === 'refused' || decision === 'failed')
    query = query.where('decision', '=', decision)
  else if (decision !== undefined) return []
  if (text !== undefined) query = query.where(mentions(text, ['id', 'who', 'alias', 'what', 'target', 'why', 'detail']))
  const rows = await query.orderBy('id', 'desc').limit(limit).execute()
  return rows.map(row => ({ kind: 'act', act: toActRow(row) }))
}

type Compare<C extends string> = (column: C, operator: 'in', values: string[]) => Expression<SqlBool>
const among = <C extends string>(eb: Compare<C>, column: C, ids: readonly string[]): Expression<SqlBool>[] =>
  ids.length === 0 ? [] : [eb(column, 'in', [...ids])]

const plain = (text: string): string => text.replace(/[\\%_]/g, '\\$&')
const globToLike = (glob: string): string => glob.split('*').map(plain).join('%')

function mentions(text: string, columns: readonly string[]) {
  const pattern = `%${plain(text.toLowerCase())}%`
  const each = columns.map(column => sql`lower(coalesce(${sql.ref(column)}, '')) like ${pattern} escape '\\'`)
  return sql<SqlBool>`(${sql.join(each, sql` or `)})`
}

/** One table at a time, by id, so that nothing but ids is ever held, and at most `limit` of these. */
async function deleteBefore(db: Transaction<Tables>, { at, limit }: { at: number; limit: number }): Promise<number> {
  const old = await db
    .selectFrom('requests')
    .select('id')
    .where('id', '<', idAt(at + idSlackMs))
    .where('at', '<', at)
    .where('outcome', '!=', 'open')
    .orderBy('id')
    .limit(limit)
    .execute()
  if (old.length > 0) await deleteIds(db, 'requests', old)
  const acts = await db
    .selectFrom('acts')
    .select('id')
    .where('id', '<', idAt(at + idSlackMs))
    .where('at', '<', at)
    .orderBy('id')
    .limit(limit)
    .execute()
  if (acts.length > 0) await deleteIds(db, 'acts', acts)
  for (const table of ['marks', 'feedback'] as const) await db.deleteFrom(table).where('at', '<', at).execute()
  // One that goes on is decided by all of its evidence; of the others the decisions stay.
  const over = db.selectFrom('releases').select('id').where('phase', 'in', ['live', 'aborted', 'rolled-back'])
  await db.deleteFrom('release_events').where('at', '<', at).where('release', 'in', over).execute()
  const gaps = await db.deleteFrom('gaps').where('until_at', '<', at).executeTakeFirst()
  return old.length + acts.length + Number(gaps.numDeletedRows)
}

async function deleteIds(db: Transaction<Tables>, table: 'requests' | 'acts', rows: { id: string }[]): Promise<void> {
  const ids = rows.map(row => row.id)
  for (let from = 0; from < ids.length; from += rowsAtOnce)
    await db
      .deleteFrom(table)
      .where('id', 'in', ids.slice(from, from + rowsAtOnce))
      .execute()
}

async function countAbout(db: Kysely<Tables>, subject: Subject) {
  const { ids, until } = subject
  const row = await db
    .selectFrom('requests')
    .select(({ fn }) => fn.countAll<number>().as('n'))
    .where('key', 'in', ids)
    .where('at', '<=', until)
    .executeTakeFirstOrThrow()
  let acts = 0
  for await (const page of actPages(db)) acts += page.filter(act => isAbout(toActRecord(act), subject)).length
  return { requests: row.n, acts }
}

async function eraseAbout(db: Kysely<Tables>, subject: Subject, limit: number): Promise<number> {
  const { ids, until } = subject
  const requests = await db.transaction().execute(async trx => {
    await eraseUsage(trx, { keys: ids, until, under: erased })
    // What a key that lives on has spent still bounds it.
    const living = trx.selectFrom('keys').select('id').where('revoked_at', 'is', null)
    await trx
      .deleteFrom('spend')
      .where('subject', '=', 'key')
      .where('name', 'in', ids)
      .where('name', 'not in', living)
      .execute()
    await trx.deleteFrom('feedback').where('key', 'in', ids).where('at', '<=', until).execute()
    const rows = await trx
      .selectFrom('requests')
      .select('id')
      .where('key', 'in', ids)
      .where('at', '<=', until)
      .limit(Math.min(limit, rowsAtOnce))
      .execute()
    if (rows.length === 0) return 0
    await trx
      .updateTable('requests')
      .set({ key: erased, alias: null, client_id: null, peer: null })
      .where(
        'id',
        'in',
        rows.map(row => row.id),
      )
      .execute()
    return rows.length
  })
  return requests > 0 ? requests : eraseActs(db, subject)
}

/** What was done and how it ended stays; who, to whom, from where and what exactly goes. */
async function eraseActs(db: Kysely<Tables>, subject: Subject): Promise<number> {
  let count = 0
  for await (const page of actPages(db)) {
    const about = page.filter(act => isAbout(toActRecord(act), subject))
    if (about.length === 0) continue
    await db.transaction().execute(async trx => {
      for (const row of about) {
        const own = row.who !== null && subject.ids.includes(row.who)
        await trx
          .updateTable('acts')
          .set({ target: erased, why: null, detail: null, ...(own ? { who: erased, alias: null, peer: null } : {}) })
          .where('id', '=', row.id)
          .execute()
      }
    })
    count += about.length
  }
  return count
}

async function* actPages(db: Kysely<Tables>): AsyncGenerator<Tables['acts'][]> {
  for (let after = ''; ;) {
    const page = await db
      .selectFrom('acts')
      .selectAll()
      .where('id', '>', after)
      .orderBy('id')
      .limit(rowsAtOnce)
      .execute()
    yield page
    const last = page.at(-1)
    if (last === undefined || page.length < rowsAtOnce) return
    after = last.id
  }
}

/** A gateway that was away is told the change all the same, without what it said of the person. */
async function eraseKeyChanges(db: Transaction<Tables>, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const rows = await db
      .selectFrom('access_changes')
      .selectAll()
      .where(sql<SqlBool>`change like ${`%${plain(id)}%`} escape '\\'`)
      .execute()
    for (const { seq, change } of rows) {
      // Put in by the access store.
      const said = JSON.parse(change) as { put?: string; key?: { id: string } }
      if (said.put !== 'key' || said.key?.id !== id) continue
      const key = { ...said.key, alias: null, owner: null, metadata: {} }
      await db
        .updateTable('access_changes')
        .set({ change: JSON.stringify({ ...said, key }) })
        .where('seq', '=', seq)
        .execute()
    }
  }
}
