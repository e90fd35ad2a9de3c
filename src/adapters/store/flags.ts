/** Flags as people set them. Queries that SQLite and PostgreSQL both run. */
import type { Kysely } from 'kysely'
import type { FlagStore } from '../../domain/serving/index.ts'
import { instant, share, teamName } from '../../domain/units.ts'
import type { Tables } from './schema.ts'

export function openFlagStore(db: Kysely<Tables>): FlagStore {
  return {
    async settings() {
      const rows = await db.selectFrom('flag_settings').selectAll().orderBy('name').execute()
      return rows.map(row => ({
        name: row.name,
        // Put in by `set`.
        teams: (JSON.parse(row.teams) as string[]).map(teamName),
        share: share(row.share),
        at: instant(row.at),
      }))
    },

    set: ({ name, teams, share: part, at }) =>
      db.transaction().execute(async trx => {
        const row = { teams: JSON.stringify(teams), share: part, at }
        await trx
          .insertInto('flag_settings')
          .values({ name, ...row })
          .onConflict(conflict => conflict.column('name').doUpdateSet(row))
          .execute()
      }),

    reset: name =>
      db.transaction().execute(async trx => {
        const { numDeletedRows } = await trx.deleteFrom('flag_settings').where('name', '=', name).executeTakeFirst()
        return numDeletedRows > 0n
      }),
  }
}
