/** Releases, their decisions and their evidence. Queries that SQLite and PostgreSQL both run. */
import type { Kysely, Transaction } from 'kysely'
import type { CloseRecord } from '../../domain/journal/index.ts'
import { evidenceOf, servedRequest } from '../../domain/release/index.ts'
import type { Decision, EvidenceEvent, KeptResult, Release, ReleaseStore } from '../../domain/release/index.ts'
import { instant, modelName, versionName } from '../../domain/units.ts'
import type { Millis, ReleaseId, Tokens } from '../../domain/units.ts'
import type { Tables } from './schema.ts'

/** Without its place in the order, which the store gives. */
type NewEvent = EvidenceEvent extends infer E ? (E extends { seq: number } ? Omit<E, 'seq'> : never) : never

const rowsAtOnce = 500

export function openReleaseStore(db: Kysely<Tables>): ReleaseStore {
  return {
    save: (release, decision) =>
      db.transaction().execute(async trx => {
        const row = { phase: release.phase, state: JSON.stringify(release) }
        const { id, model, startedAt } = release
        await trx
          .insertInto('releases')
          .values({ id, model, started_at: startedAt, last_seq: 0, ...row })
          .onConflict(conflict => conflict.column('id').doUpdateSet(row))
          .execute()
        if (decision === null) return
        await trx
          .insertInto('release_decisions')
          .values({ release: id, n: decision.n, at: decision.at, decision: JSON.stringify(decision) })
          .execute()
      }),

    async find(id) {
      const row = await db.selectFrom('releases').select('state').where('id', '=', id).executeTakeFirst()
      return row === undefined ? null : toRelease(row)
    },

    async list({ model, limit }) {
      const all = db.selectFrom('releases').select('state').orderBy('started_at', 'desc').orderBy('id', 'desc')
      const rows = await (model === undefined ? all : all.where('model', '=', model)).limit(limit).execute()
      return rows.map(toRelease)
    },

    async decisions(id) {
      const rows = await db
        .selectFrom('release_decisions')
        .select('decision')
        .where('release', '=', id)
        .orderBy('n')
        .execute()
      // Written by `save` only.
      return rows.map(({ decision }) => JSON.parse(decision) as Decision)
    },

    async events(id, { after, limit }) {
      const rows = await db
        .selectFrom('release_events')
        .select(['seq', 'event'])
        .where('release', '=', id)
        .where('seq', '>', after)
        .orderBy('seq')
        .limit(limit)
        .execute()
      // Written by `putEvents` only.
      return rows.map(({ seq, event }) => ({ ...JSON.parse(event), seq }) as EvidenceEvent)
    },

    addPairs: (id, pairs) =>
      db.transaction().execute(trx =>
        putEvents(
          trx,
          id,
          pairs.map(({ at, pair }) => ({ kind: 'pair', at, pair })),
        ),
      ),

    keep: (id, { kind, at, content }) =>
      db.transaction().execute(async trx => {
        const row = { at, content: JSON.stringify(content) }
        await trx
          .insertInto('release_results')
          .values({ release: id, kind, ...row })
          .onConflict(conflict => conflict.columns(['release', 'kind']).doUpdateSet(row))
          .execute()
      }),

    async kept(id) {
      const rows = await db.selectFrom('release_results').selectAll().where('release', '=', id).orderBy('at').execute()
      return rows.map(({ kind, at, content }): KeptResult => ({
        kind,
        at: instant(at),
        content: JSON.parse(content) as unknown,
      }))
    },

    async served({ model, version, since, limit }) {
      const rows = await db
        .selectFrom('requests')
        .select(['outcome', 'stream', 'input_tokens', 'output_tokens', 'ttft_ms', 'total_ms', 'attempts'])
        .where('model', '=', model)
        .where('version', '=', version)
        .where('at', '>=', since)
        .where('outcome', 'not in', ['open', 'interrupted'])
        .orderBy('id', 'desc')
        .limit(limit)
        .execute()
      return rows.flatMap(row => {
        const { outcome, total_ms: totalMs } = row
        if (outcome === 'open' || outcome === 'interrupted' || totalMs === null) return []
        // The units are the record's own: they were taken from it as they are.
        return [
          servedRequest({
            outcome,
            stream: row.stream === 1,
            inputTokens: row.input_tokens as Tokens | null,
            outputTokens: row.output_tokens as Tokens | null,
            ttftMs: row.ttft_ms as Millis | null,
            totalMs: totalMs as Millis,
            attempts: row.attempts ?? 1,
          }),
        ]
      })
    },

    async real() {
      const rows = await db.selectFrom('real_versions').selectAll().orderBy('model').execute()
      return rows.map(({ model, live, asked_live: asked, asked_digest: digest }) => ({
        model: modelName(model),
        live: versionName(live),
        asked: { live: versionName(asked), digest },
      }))
    },

    setReal: changes =>
      db.transaction().execute(async trx => {
        for (const { model, live, asked } of changes) {
          const row = { live, asked_live: asked.live, asked_digest: asked.digest }
          await trx
            .insertInto('real_versions')
            .values({ model, ...row })
            .onConflict(conflict => conflict.column('model').doUpdateSet(row))
            .execute()
        }
      }),
  }
}

/** What the journal's new records tell releases, in the transaction that takes them in. */
export async function putEvidence(trx: Transaction<Tables>, records: readonly CloseRecord[]): Promise<void> {
  const told = new Map<ReleaseId, NewEvent[]>()
  for (const record of records) {
    const event = evidenceOf(record)
    if (event === null || record.release === undefined) continue
    const { id } = record.release
    const events = told.get(id) ?? []
    events.push(event)
    told.set(id, events)
  }
  for (const [id, events] of told) await putEvents(trx, id, events)
}

/** The journal and the judge write beside each other: whoever has the release's row has its turn. */
export async function putEvents(trx: Transaction<Tables>, id: ReleaseId, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return
  const row = await trx
    .updateTable('releases')
    .set(({ eb, ref }) => ({ last_seq: eb(ref('last_seq'), '+', events.length) }))
    .where('id', '=', id)
    .returning('last_seq')
    .executeTakeFirst()
  // A journal that is taken in anew, by a store that does not know the release.
  if (row === undefined) return
  const first = row.last_seq - events.length + 1
  const rows = events.map((event, n) => ({
    release: id,
    seq: first + n,
    at: event.at,
    event: JSON.stringify(event),
  }))
  for (let at = 0; at < rows.length; at += rowsAtOnce) {
    await trx
      .insertInto('release_events')
      .values(rows.slice(at, at + rowsAtOnce))
      .execute()
  }
}

/** Written by `save` only. */
const toRelease = ({ state }: { state: string }): Release => JSON.parse(state) as Release
