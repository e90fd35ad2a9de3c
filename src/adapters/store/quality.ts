/** A judge's marks, and people's thumbs beside them. Queries that SQLite and PostgreSQL both run. */
import type { Kysely } from 'kysely'
import type { LiveMark, QualityStore, Thumb } from '../../domain/quality/index.ts'
import { instant, modelName, requestId, versionName } from '../../domain/units.ts'
import type { Tables } from './schema.ts'

export function openQualityStore(db: Kysely<Tables>): QualityStore {
  return {
    add: ({ request, at, model, version, judge, mark, calls, unparsable, control }) =>
      db.transaction().execute(async trx => {
        await trx
          .insertInto('marks')
          .values({
            ...{ request, at, model, version, mark, calls, unparsable },
            judge: judge.name,
            judge_digest: judge.digest,
            judge_prompt: judge.prompt,
            control: control?.kind ?? null,
            control_result: control?.result ?? null,
          })
          .onConflict(conflict => conflict.column('request').doNothing())
          .execute()
      }),

    async marks({ model, since, limit }) {
      const all = db.selectFrom('marks').selectAll().where('at', '>=', since)
      const rows = await (model === undefined ? all : all.where('model', '=', model))
        .orderBy('at', 'desc')
        .orderBy('request', 'desc')
        .limit(limit)
        .execute()
      return rows.map(toMark)
    },

    async thumbs({ model, since, limit }) {
      const all = db
        .selectFrom('feedback')
        .select(['at', 'model', 'version', 'score'])
        .where('at', '>=', since)
        .where('version', 'is not', null)
        .where('model', 'is not', null)
      const rows = await (model === undefined ? all : all.where('model', '=', model))
        .orderBy('at', 'desc')
        .limit(limit)
        .execute()
      return rows.flatMap((row): Thumb[] =>
        row.model === null || row.version === null
          ? []
          : [{ at: instant(row.at), model: modelName(row.model), version: versionName(row.version), score: row.score }],
      )
    },
  }
}

function toMark(row: Tables['marks']): LiveMark {
  const { control: kind, control_result: result } = row
  return {
    request: requestId(row.request),
    at: instant(row.at),
    model: modelName(row.model),
    version: versionName(row.version),
    judge: { name: row.judge, digest: row.judge_digest, prompt: row.judge_prompt },
    mark: row.mark,
    calls: row.calls,
    unparsable: row.unparsable,
    control: kind === null || result === null ? null : { kind, result },
  }
}
