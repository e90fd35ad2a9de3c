/** Migrations: numbered, forward only, applied at start in one transaction. A released one is never changed. */
import { sql } from 'kysely'
import type { CreateTableBuilder, Kysely, Transaction } from 'kysely'
import type { Tables } from './schema.ts'

type Migration = { n: number; name: string; up: (db: Transaction<Tables>) => Promise<void> }

const migrations: readonly Migration[] = [
  { n: 1, name: 'keys, teams and requests', up: firstTables },
  { n: 2, name: 'owners, scopes and blocks of keys', up: keyScopes },
  { n: 3, name: 'limits and budgets of keys and teams', up: bounds },
]

/**
 * Brings the database to this program's schema. The transaction takes the write lock first, so that two processes
 * starting at once don't both migrate. Throws when the database was written by a newer program.
 */
export async function migrate(
  db: Kysely<Tables>,
  {
    epoch,
    now,
    steps = migrations,
  }: {
    /** Becomes the store's epoch if it is new. */
    epoch: string
    now: number
    steps?: readonly Migration[]
  },
): Promise<void> {
  await db.transaction().execute(async trx => {
    await trx.schema
      .createTable('schema_migrations')
      .ifNotExists()
      .addColumn('n', 'integer', column => column.primaryKey())
      .addColumn('name', 'text', column => column.notNull())
      .addColumn('at', 'bigint', column => column.notNull())
      .execute()
    const last = await trx
      .selectFrom('schema_migrations')
      .select(({ fn }) => fn.max('n').as('n'))
      .executeTakeFirst()
    const at = last?.n ?? 0
    const newest = steps.at(-1)?.n ?? 0
    if (at > newest) {
      throw new Error(
        `The database has schema ${at}, and this Holdfast knows schemas up to ${newest}: a newer one wrote it. ` +
          'Start that version, or restore a backup made before the upgrade.',
      )
    }
    for (const step of steps.filter(({ n }) => n > at)) {
      await step.up(trx)
      await trx.insertInto('schema_migrations').values({ n: step.n, name: step.name, at: now }).execute()
    }
    await trx
      .insertInto('access_state')
      .values({ id: 1, epoch, seq: 0 })
      .onConflict(conflict => conflict.column('id').doNothing())
      .execute()
  })
}

async function firstTables(db: Transaction<Tables>): Promise<void> {
  const { schema } = db
  await schema
    .createTable('access_state')
    .addColumn('id', 'integer', column => column.primaryKey())
    .addColumn('epoch', 'text', column => column.notNull())
    .addColumn('seq', 'bigint', column => column.notNull())
    .execute()
  // No reference to teams: a key may name a team that the spec brings later or has taken away.
  await schema
    .createTable('keys')
    .addColumn('id', 'text', column => column.primaryKey())
    .addColumn('alias', 'text')
    .addColumn('team', 'text')
    .addColumn('models', 'text')
    .addColumn('created_at', 'bigint', column => column.notNull())
    .addColumn('expires_at', 'bigint')
    .addColumn('revoked_at', 'bigint')
    .addColumn('metadata', 'text', column => column.notNull())
    .execute()
  await schema
    .createIndex('keys_alias')
    .unique()
    .on('keys')
    .column('alias')
    .where(sql.ref('revoked_at'), 'is', null)
    .execute()
  await schema
    .createTable('secrets')
    .addColumn('key_id', 'text', column => column.notNull().references('keys.id').onDelete('cascade'))
    .addColumn('place', 'integer', column => column.notNull())
    .addColumn('hash', 'text', column => column.notNull())
    .addColumn('valid_until', 'bigint')
    .addColumn('live', 'integer', column => column.notNull())
    .addPrimaryKeyConstraint('secrets_key', ['key_id', 'place'])
    .execute()
  await schema
    .createIndex('secrets_live')
    .unique()
    .on('secrets')
    .column('hash')
    .where(sql.ref('live'), '=', sql.lit(1))
    .execute()
  await schema.createIndex('secrets_hash').on('secrets').column('hash').execute()
  await schema
    .createTable('teams')
    .addColumn('name', 'text', column => column.primaryKey())
    .addColumn('models', 'text')
    .addColumn('metadata', 'text', column => column.notNull())
    .addColumn('created_at', 'bigint', column => column.notNull())
    .addColumn('source', 'text', column => column.notNull())
    .execute()
  await schema
    .createTable('access_changes')
    .addColumn('seq', 'bigint', column => column.primaryKey())
    .addColumn('change', 'text', column => column.notNull())
    .execute()

  await schema
    .createTable('epochs')
    .addColumn('epoch', 'text', column => column.primaryKey())
    .addColumn('segment', 'integer', column => column.notNull())
    .addColumn('offset', 'bigint', column => column.notNull())
    .addColumn('ended', 'integer', column => column.notNull())
    .execute()
  await schema
    .createTable('anchors')
    .addColumn('epoch', 'text', column => column.notNull().references('epochs.epoch'))
    .addColumn('segment', 'integer', column => column.notNull())
    .addColumn('n', 'bigint', column => column.notNull())
    .addColumn('hash', 'text', column => column.notNull())
    .addPrimaryKeyConstraint('anchors_key', ['epoch', 'segment'])
    .execute()
  await schema
    .createTable('gaps')
    .addColumn('epoch', 'text', column => column.notNull().references('epochs.epoch'))
    .addColumn('from_at', 'bigint', column => column.notNull())
    .addColumn('until_at', 'bigint', column => column.notNull())
    .addColumn('lost', 'integer', column => column.notNull())
    .execute()
  await schema
    .createTable('requests')
    .addColumn('id', 'text', column => column.primaryKey())
    .addColumn('epoch', 'text', column => column.notNull().references('epochs.epoch'))
    .addColumn('at', 'bigint', column => column.notNull())
    .addColumn('key', 'text')
    .addColumn('alias', 'text')
    .addColumn('team', 'text')
    .addColumn('model', 'text')
    .addColumn('version', 'text')
    .addColumn('replica', 'text')
    .addColumn('route', 'text', column => column.notNull())
    .addColumn('stream', 'integer', column => column.notNull())
    .addColumn('status', 'integer')
    .addColumn('outcome', 'text', column => column.notNull())
    .addColumn('fault', 'text')
    .addColumn('input_tokens', 'bigint')
    .addColumn('output_tokens', 'bigint')
    .addColumn('ttft_ms', 'double precision')
    .addColumn('total_ms', 'double precision')
    .addColumn('attempts', 'integer')
    .addColumn('client_id', 'text')
    .addColumn('peer', 'text')
    .execute()
  for (const column of ['key', 'team', 'model', 'outcome'] as const) {
    await schema.createIndex(`requests_${column}`).on('requests').columns([column, 'id']).execute()
  }
  const counts = [
    'requests',
    'ok',
    'refused',
    'failed',
    'cancelled',
    'interrupted',
    'input_tokens',
    'output_tokens',
  ] as const
  const names = ['key', 'team', 'model', 'version'] as const
  const usage = schema.createTable('usage_hours').addColumn('hour', 'bigint', column => column.notNull())
  const named = names.reduce<CreateTableBuilder<string, string>>(
    (table, name) => table.addColumn(name, 'text', column => column.notNull()),
    usage,
  )
  const counted = counts.reduce((table, count) => table.addColumn(count, 'bigint', column => column.notNull()), named)
  await counted.addPrimaryKeyConstraint('usage_hours_key', ['hour', ...names]).execute()
}

/** Null in each is what keys had before: no owner, every route, from anywhere, not blocked. */
async function keyScopes({ schema }: Transaction<Tables>): Promise<void> {
  for (const column of ['owner', 'routes', 'addresses']) {
    await schema.alterTable('keys').addColumn(column, 'text').execute()
  }
  await schema.alterTable('keys').addColumn('blocked_at', 'bigint').execute()
}

/** Null in each is what keys and teams had before: no bound, normal priority. */
async function bounds({ schema }: Transaction<Tables>): Promise<void> {
  for (const table of ['keys', 'teams']) {
    for (const column of ['limits', 'budget']) await schema.alterTable(table).addColumn(column, 'text').execute()
  }
  await schema.alterTable('teams').addColumn('priority', 'text').execute()
}
