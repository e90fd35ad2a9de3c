/** What the journal said, in the database. Queries that SQLite and PostgreSQL both run. */
import type { Kysely, Transaction } from 'kysely'
import { epochStart } from '../../domain/journal/index.ts'
import type { Batch, CloseRecord, OpenRecord, RequestRow, RequestStore } from '../../domain/journal/index.ts'
import { instant, keyId, millis, modelName, requestId, teamName, versionName } from '../../domain/units.ts'
import { putActs } from './acts.ts'
import { putFeedback } from './feedback.ts'
import { idAt, idSlackMs } from './id-at.ts'
import { putEvidence } from './releases.ts'
import type { Tables } from './schema.ts'
import { addSpend, readSpent, startSpend } from './spend.ts'
import { addUsage, readUsage, startUsage } from './usage.ts'

type StoredRequest = Tables['requests']

/** Rows a statement: their values stay well under SQLite's 32,766 parameters. */
const rowsAtOnce = 500

export function openRequestStore(db: Kysely<Tables>): RequestStore {
  return {
    position: epoch => readPosition(db, epoch),

    ingest: batch =>
      db.transaction().execute(async trx => {
        const { epoch, from, to, ended } = batch
        const position = await readPosition(trx, epoch)
        const at = position ?? epochStart
        if (at.segment !== from.segment || at.offset !== from.offset) return { applied: false, position }
        await trx
          .insertInto('epochs')
          .values({ epoch, ...to, ended: ended ? 1 : 0 })
          .onConflict(conflict => conflict.column('epoch').doUpdateSet({ ...to, ...(ended ? { ended: 1 } : {}) }))
          .execute()
        await putAnchors(trx, batch)
        await putGaps(trx, batch)
        await putRequests(trx, batch)
        await putActs(trx, batch)
        await putFeedback(trx, batch.records)
        return { applied: true }
      }),

    async list({ limit, before, id, since, until, key, keys, team, model, outcome }) {
      if (keys?.length === 0) return []
      let query = db.selectFrom('requests').selectAll()
      if (before !== undefined) query = query.where('id', '<', before)
      if (id !== undefined) query = query.where('id', '=', id)
      if (since !== undefined) query = query.where('at', '>=', since).where('id', '>', idAt(since - idSlackMs))
      if (until !== undefined) query = query.where('at', '<', until).where('id', '<', idAt(until + idSlackMs))
      if (keys !== undefined) query = query.where('key', 'in', keys)
      if (key !== undefined) query = query.where('key', '=', key)
      if (team !== undefined) query = query.where('team', '=', team)
      if (model !== undefined) query = query.where('model', '=', model)
      if (outcome !== undefined) query = query.where('outcome', '=', outcome)
      const rows = await query.orderBy('id', 'desc').limit(limit).execute()
      return rows.map(toRow)
    },

    usage: ask => readUsage(db, ask),

    spent: ask => readSpent(db, ask),

    anchors: () => db.selectFrom('anchors').selectAll().orderBy('epoch').orderBy('segment').execute(),

    async epochs() {
      const rows = await db.selectFrom('epochs').selectAll().orderBy('epoch').execute()
      return rows.map(({ epoch, segment, offset, ended }) => ({
        epoch,
        position: { segment, offset },
        ended: ended === 1,
      }))
    },

    async gaps() {
      const rows = await db.selectFrom('gaps').selectAll().orderBy('from_at').execute()
      return rows.map(row => ({
        epoch: row.epoch,
        at: instant(row.from_at),
        until: instant(row.until_at),
        lost: row.lost,
      }))
    },
  }
}

async function readPosition(db: Kysely<Tables>, epoch: string) {
  return (
    (await db.selectFrom('epochs').select(['segment', 'offset']).where('epoch', '=', epoch).executeTakeFirst()) ?? null
  )
}

/** Of each segment the last block is kept: it stands for all before it. */
async function putAnchors(trx: Transaction<Tables>, { epoch, anchors }: Batch): Promise<void> {
  const last = new Map<number, Batch['anchors'][number]>()
  for (const anchor of anchors) if (anchor.n > (last.get(anchor.segment)?.n ?? 0)) last.set(anchor.segment, anchor)
  for (const { segment, n, hash } of last.values()) {
    await trx
      .insertInto('anchors')
      .values({ epoch, segment, n, hash })
      .onConflict(conflict =>
        conflict.columns(['epoch', 'segment']).doUpdateSet({ n, hash }).where('anchors.n', '<', n),
      )
      .execute()
  }
}

async function putGaps(trx: Transaction<Tables>, { epoch, records }: Batch): Promise<void> {
  for (const record of records) {
    if (record.t !== 'gap') continue
    await trx
      .insertInto('gaps')
      .values({ epoch, from_at: record.at, until_at: record.until, lost: record.lost })
      .execute()
  }
}

async function putRequests(trx: Transaction<Tables>, { epoch, records, ended }: Batch): Promise<void> {
  const usage = startUsage()
  const spend = startSpend(epoch)
  const said = new Map<string, StoredRequest>()
  const closes = new Map<string, CloseRecord>()
  for (const record of records) {
    if (record.t === 'gap' || record.t === 'act' || record.t === 'feedback') continue
    const before = said.get(record.id)
    if (before && (before.outcome !== 'open' || record.t !== 'close')) continue
    said.set(record.id, toStored(record, epoch))
    if (record.t === 'close') closes.set(record.id, record)
  }
  const rows = [...said.values()]
  for (let at = 0; at < rows.length; at += rowsAtOnce) await mergeRows(rows.slice(at, at + rowsAtOnce))
  if (ended) await interrupt()
  await addUsage(trx, usage)
  await addSpend(trx, spend)

  async function mergeRows(some: StoredRequest[]): Promise<void> {
    const stored = await trx
      .selectFrom('requests')
      .selectAll()
      .where(
        'id',
        'in',
        some.map(row => row.id),
      )
      .execute()
    const known = new Map(stored.map(row => [row.id, row]))
    const news = some.filter(row => {
      const before = known.get(row.id)
      // A close is the whole story: only what is open or was thought interrupted takes one, once.
      return !before || (row.outcome !== 'open' && (before.outcome === 'open' || before.outcome === 'interrupted'))
    })
    if (news.length === 0) return
    await putEvidence(
      trx,
      news.flatMap(({ id }) => closes.get(id) ?? []),
    )
    for (const row of news) {
      const before = known.get(row.id)
      if (before) usage.add(before, -1)
      usage.add(row, 1)
      spend.add(row)
    }
    await trx
      .insertInto('requests')
      .values(news)
      .onConflict(conflict =>
        conflict.column('id').doUpdateSet(({ ref }) => ({
          status: ref('excluded.status'),
          outcome: ref('excluded.outcome'),
          fault: ref('excluded.fault'),
          key: ref('excluded.key'),
          alias: ref('excluded.alias'),
          team: ref('excluded.team'),
          model: ref('excluded.model'),
          version: ref('excluded.version'),
          replica: ref('excluded.replica'),
          at: ref('excluded.at'),
          input_tokens: ref('excluded.input_tokens'),
          output_tokens: ref('excluded.output_tokens'),
          ttft_ms: ref('excluded.ttft_ms'),
          total_ms: ref('excluded.total_ms'),
          attempts: ref('excluded.attempts'),
          gpu_ms: ref('excluded.gpu_ms'),
          cost: ref('excluded.cost'),
          currency: ref('excluded.currency'),
          estimated_tokens: ref('excluded.estimated_tokens'),
          client_id: ref('excluded.client_id'),
          peer: ref('excluded.peer'),
          route: ref('excluded.route'),
          stream: ref('excluded.stream'),
          choice: ref('excluded.choice'),
        })),
      )
      .execute()
  }

  /** The gateway is gone: nothing will close what is still open. */
  async function interrupt(): Promise<void> {
    const open = await trx
      .updateTable('requests')
      .set({ outcome: 'interrupted' })
      .where('outcome', '=', 'open')
      .where('epoch', '=', epoch)
      .returningAll()
      .execute()
    for (const row of open) usage.add(row, 1)
  }
}

function toStored(record: OpenRecord | CloseRecord, epoch: string): StoredRequest {
  const { id, at, key, alias, team, model, route } = record
  const shared = { id, epoch, at, key, alias, team, model, route, stream: record.stream ? 1 : 0 }
  if (record.t === 'open') {
    return {
      ...shared,
      outcome: 'open',
      version: null,
      replica: null,
      status: null,
      fault: null,
      input_tokens: null,
      output_tokens: null,
      ttft_ms: null,
      total_ms: null,
      attempts: null,
      gpu_ms: null,
      cost: null,
      currency: null,
      estimated_tokens: null,
      client_id: null,
      peer: null,
      choice: null,
    }
  }
  return {
    ...shared,
    outcome: record.outcome,
    version: record.version,
    replica: record.replica,
    status: record.status,
    fault: record.fault,
    input_tokens: record.inputTokens,
    output_tokens: record.outputTokens,
    ttft_ms: record.ttftMs,
    total_ms: record.totalMs,
    attempts: record.attempts,
    gpu_ms: record.gpuMs,
    cost: record.cost,
    currency: record.currency,
    estimated_tokens: record.estimatedTokens ?? null,
    client_id: record.clientId,
    peer: record.from,
    choice: record.choice,
  }
}

export const toRow = (row: StoredRequest): RequestRow => ({
  id: requestId(row.id),
  time: new Date(row.at).toISOString(),
  key: row.key === null || row.key === 'admin' ? row.key : keyId(row.key),
  alias: row.alias,
  team: row.team === null ? null : teamName(row.team),
  model: row.model === null ? null : modelName(row.model),
  version: row.version === null ? null : versionName(row.version),
  replica: row.replica,
  route: row.route,
  stream: row.stream === 1,
  status: row.status,
  outcome: row.outcome,
  fault: row.fault,
  inputTokens: row.input_tokens,
  outputTokens: row.output_tokens,
  ttftMs: row.ttft_ms,
  totalMs: row.total_ms,
  attempts: row.attempts,
  gpuMs: row.gpu_ms === null ? null : millis(row.gpu_ms),
  cost: row.cost,
  currency: row.currency,
  clientId: row.client_id,
  from: row.peer,
  choice: row.choice,
})
