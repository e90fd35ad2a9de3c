/** The gateways that are known, and the tokens that let them in. Queries that SQLite and PostgreSQL both run. */
import type { Kysely, Transaction } from 'kysely'
import type { GatewayStore, KnownGateway, Presence } from '../../domain/serving/index.ts'
import { instant } from '../../domain/units.ts'
import type { Tables } from './schema.ts'

/** So long a token that is over is still told from one that never was. */
const overKeptMs = 7 * 24 * 3_600_000

export function openGatewayStore(db: Kysely<Tables>): GatewayStore {
  return {
    addToken: ({ hash, expiresAt }, now) =>
      db.transaction().execute(async trx => {
        await trx
          .deleteFrom('join_tokens')
          .where('expires_at', '<', now - overKeptMs)
          .execute()
        await trx.insertInto('join_tokens').values({ hash, expires_at: expiresAt, used_by: null }).execute()
      }),

    join: ({ tokenHash, id, keyHash, from, now }) =>
      db.transaction().execute(async trx => {
        // Taken before it is looked at, so that of two who bring it at once one gets in.
        const { numUpdatedRows } = await trx
          .updateTable('join_tokens')
          .set({ used_by: id })
          .where('hash', '=', tokenHash)
          .where('used_by', 'is', null)
          .where('expires_at', '>', now)
          .executeTakeFirst()
        if (numUpdatedRows === 0n) return whyNot(trx, tokenHash)
        const row = { key_hash: keyHash, joined_at: now, removed_at: null, from_address: from, ...seen('left', now) }
        await trx
          .insertInto('gateways')
          .values({ id, ...row })
          .onConflict(conflict => conflict.column('id').doUpdateSet(row))
          .execute()
        return 'joined'
      }),

    async gateways() {
      const rows = await db.selectFrom('gateways').selectAll().orderBy('joined_at').orderBy('id').execute()
      return rows.map(toGateway)
    },

    saw: ({ id, presence, from, now }) =>
      db.transaction().execute(async trx => {
        const row = { from_address: from, ...seen(presence, now) }
        await trx
          .insertInto('gateways')
          .values({ id, key_hash: null, joined_at: now, removed_at: null, ...row })
          .onConflict(conflict => conflict.column('id').doUpdateSet(row))
          .execute()
      }),

    remove: (id, now) =>
      db.transaction().execute(async trx => {
        const { numUpdatedRows } = await trx
          .updateTable('gateways')
          .set({ removed_at: now })
          .where('id', '=', id)
          .where('removed_at', 'is', null)
          .executeTakeFirst()
        return numUpdatedRows > 0n
      }),
  }
}

async function whyNot(trx: Transaction<Tables>, hash: string) {
  const token = await trx.selectFrom('join_tokens').selectAll().where('hash', '=', hash).executeTakeFirst()
  if (token === undefined) return 'token-unknown'
  return token.used_by === null ? 'token-expired' : 'token-used'
}

const seen = (presence: Presence, at: number) => ({ presence, seen_at: at })

const toGateway = (row: Tables['gateways']): KnownGateway => ({
  id: row.id,
  keyHash: row.key_hash,
  joinedAt: instant(row.joined_at),
  removedAt: row.removed_at === null ? null : instant(row.removed_at),
  seenAt: instant(row.seen_at),
  presence: row.presence,
  from: row.from_address,
})
