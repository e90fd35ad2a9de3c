/**
 * Migrations: numbered, forward only, applied in one transaction. A released one is never changed; what they must hold
 * is in docs/design/0014-postgresql.md.
 */
import { sql } from 'kysely'
import type { CreateTableBuilder, Kysely, Transaction } from 'kysely'
import type { Tables } from './schema.ts'

export type Migration = {
  n: number
  name: string
  /**
   * The oldest program schema that may still use a database after this step: such a program works on without what the
   * step brought, and what it writes then is still right for those that know the step. Left out: only these may.
   */
  readableBy?: number
  up: (db: Transaction<Tables>) => Promise<void>
}

export const migrations: readonly Migration[] = [
  { n: 1, name: 'keys, teams and requests', up: firstTables },
  { n: 2, name: 'owners, scopes and blocks of keys', up: keyScopes },
  { n: 3, name: 'limits and budgets of keys and teams', up: bounds },
  { n: 4, name: 'acts, retention and erasure', up: audit },
  { n: 5, name: 'what requests cost', up: spending },
  { n: 6, name: 'which older programs may use a schema', up: readers },
  { n: 7, name: 'gateways elsewhere', readableBy: 3, up: gatewaysElsewhere },
  { n: 8, name: 'releases, their evidence, and flags', readableBy: 3, up: releases },
]

type MigrateOptions = {
  /** Becomes the store's epoch if it is new. */
  epoch: string
  now: number
  steps?: readonly Migration[]
}

/** `migrateIn` in a transaction of its own, which on SQLite takes the write lock first: of two starts at once one migrates. */
export async function migrate(db: Kysely<Tables>, options: MigrateOptions): Promise<void> {
  await db.transaction().execute(trx => migrateIn(trx, options))
}

/**
 * Brings the database to this program's schema. Throws when a newer program wrote it and no longer lets this one use it.
 * The transaction must keep others from migrating meanwhile.
 */
export async function migrateIn(
  trx: Transaction<Tables>,
  { epoch, now, steps = migrations }: MigrateOptions,
): Promise<void> {
  await trx.schema
    .createTable('schema_migrations')
    .ifNotExists()
    .addColumn('n', 'integer', column => column.primaryKey())
    .addColumn('name', 'text', column => column.notNull())
    .addColumn('at', 'bigint', column => column.notNull())
    .execute()
  const applied = await refuseNewer(trx, steps)
  for (const { n, name, readableBy, up } of steps.filter(step => !applied.has(step.n))) {
    await up(trx)
    // The column is step 6's own, and only later ones have something to say in it.
    const readers = readableBy === undefined ? {} : { readable_by: readableBy }
    await trx
      .insertInto('schema_migrations')
      .values({ n, name, at: now, ...readers })
      .execute()
  }
  await trx
    .insertInto('access_state')
    .values({ id: 1, epoch, seq: 0 })
    .onConflict(conflict => conflict.column('id').doNothing())
    .execute()
}

/** The steps that were applied. Throws when there are some that this program neither knows nor may do without. */
export async function refuseNewer(
  db: Kysely<Tables>,
  steps: readonly Migration[] = migrations,
): Promise<ReadonlySet<number>> {
  const rows = await db.selectFrom('schema_migrations').selectAll().execute()
  const known = new Set(steps.map(({ n }) => n))
  const newest = Math.max(0, ...known)
  const beyond = rows.filter(row => !known.has(row.n) && (row.readable_by ?? Infinity) > newest)
  if (beyond.length > 0) {
    throw new Error(
      `The database has schema ${Math.max(...beyond.map(({ n }) => n))}, and this Holdfast knows schemas up to ${newest}: ` +
        'a newer one wrote it. Start that version, or restore a backup made before the upgrade.',
    )
  }
  return new Set(rows.map(({ n }) => n))
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

/** Null: only programs that know the step. */
async function audit({ schema }: Transaction<Tables>): Promise<void> {
  await schema.alterTable('requests').addColumn('choice', 'text').execute()
  await schema.createIndex('requests_peer').on('requests').columns(['peer', 'id']).execute()
  await schema
    .createTable('acts')
    .addColumn('id', 'text', column => column.primaryKey())
    .addColumn('epoch', 'text', column => column.notNull())
    .addColumn('at', 'bigint', column => column.notNull())
    .addColumn('who', 'text')
    .addColumn('alias', 'text')
    .addColumn('peer', 'text')
    .addColumn('what', 'text', column => column.notNull())
    .addColumn('target', 'text')
    .addColumn('decision', 'text', column => column.notNull())
    .addColumn('why', 'text')
    .addColumn('detail', 'text')
    .execute()
  for (const column of ['who', 'what', 'target', 'peer'] as const) {
    await schema.createIndex(`acts_${column}`).on('acts').columns([column, 'id']).execute()
  }
  await schema
    .createTable('act_epochs')
    .addColumn('epoch', 'text', column => column.primaryKey())
    .execute()
  await schema
    .createTable('removals')
    .addColumn('epoch', 'text', column => column.primaryKey())
    .addColumn('segment', 'integer', column => column.notNull())
    .addColumn('n', 'bigint', column => column.notNull())
    .addColumn('hash', 'text', column => column.notNull())
    .addColumn('at', 'bigint', column => column.notNull())
    .addColumn('rule', 'text', column => column.notNull())
    .addColumn('whole', 'integer', column => column.notNull())
    .execute()
  await schema
    .createTable('erasures')
    .addColumn('id', 'text', column => column.primaryKey())
    .addColumn('at', 'bigint', column => column.notNull())
    .addColumn('done_at', 'bigint')
    .addColumn('state', 'text', column => column.notNull())
    .execute()
}

/** What was served before cost nothing that anybody knows of. */
async function spending(db: Transaction<Tables>): Promise<void> {
  const { schema } = db
  for (const [column, type] of [
    ['gpu_ms', 'double precision'],
    ['cost', 'double precision'],
    ['currency', 'text'],
    ['estimated_tokens', 'bigint'],
  ] as const)
    await schema.alterTable('requests').addColumn(column, type).execute()

  const names = ['key', 'team', 'model', 'version'] as const
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
  const hours = schema.createTable('usage_hours_by_currency').addColumn('hour', 'bigint', column => column.notNull())
  const named = [...names, 'currency'].reduce<CreateTableBuilder<string, string>>(
    (table, name) => table.addColumn(name, 'text', column => column.notNull()),
    hours,
  )
  const counted = counts.reduce((table, count) => table.addColumn(count, 'bigint', column => column.notNull()), named)
  await ['gpu_ms', 'cost']
    .reduce((table, sum) => table.addColumn(sum, 'double precision', column => column.notNull()), counted)
    .addPrimaryKeyConstraint('usage_hours_by_currency_key', ['hour', ...names, 'currency'])
    .execute()
  // The text is this program's own: names of columns, and nothing from outside.
  const columns = ['hour', ...names, ...counts].map(column => `"${column}"`).join(', ')
  await sql
    .raw(
      `insert into usage_hours_by_currency (${columns}, currency, gpu_ms, cost) select ${columns}, '', 0, 0 from usage_hours`,
    )
    .execute(db)
  await schema.dropTable('usage_hours').execute()
  await schema.alterTable('usage_hours_by_currency').renameTo('usage_hours').execute()

  const spend = ['subject', 'name', 'span'].reduce<CreateTableBuilder<string, string>>(
    (table, name) => table.addColumn(name, 'text', column => column.notNull()),
    schema.createTable('spend'),
  )
  const placed = spend
    .addColumn('at', 'bigint', column => column.notNull())
    .addColumn('epoch', 'text', column => column.notNull())
    .addColumn('currency', 'text', column => column.notNull())
  await ['tokens', 'gpu_ms', 'money']
    .reduce((table, sum) => table.addColumn(sum, 'double precision', column => column.notNull()), placed)
    .addPrimaryKeyConstraint('spend_key', ['subject', 'name', 'span', 'at', 'epoch', 'currency'])
    .execute()
  await schema.createIndex('spend_span').on('spend').columns(['span', 'at']).execute()
}

async function readers({ schema }: Transaction<Tables>): Promise<void> {
  await schema.alterTable('schema_migrations').addColumn('readable_by', 'integer').execute()
}

async function gatewaysElsewhere({ schema }: Transaction<Tables>): Promise<void> {
  await schema
    .createTable('gateways')
    .addColumn('id', 'text', column => column.primaryKey())
    .addColumn('key_hash', 'text')
    .addColumn('joined_at', 'bigint', column => column.notNull())
    .addColumn('removed_at', 'bigint')
    .addColumn('seen_at', 'bigint', column => column.notNull())
    .addColumn('presence', 'text', column => column.notNull())
    .addColumn('from_address', 'text')
    .execute()
  await schema
    .createTable('join_tokens')
    .addColumn('hash', 'text', column => column.primaryKey())
    .addColumn('expires_at', 'bigint', column => column.notNull())
    .addColumn('used_by', 'text')
    .execute()
}

async function releases({ schema }: Transaction<Tables>): Promise<void> {
  await schema
    .createTable('releases')
    .addColumn('id', 'text', column => column.primaryKey())
    .addColumn('model', 'text', column => column.notNull())
    .addColumn('started_at', 'bigint', column => column.notNull())
    .addColumn('phase', 'text', column => column.notNull())
    .addColumn('last_seq', 'bigint', column => column.notNull())
    .addColumn('state', 'text', column => column.notNull())
    .execute()
  await schema.createIndex('releases_model').on('releases').columns(['model', 'started_at']).execute()
  await schema
    .createTable('release_decisions')
    .addColumn('release', 'text', column => column.notNull().references('releases.id'))
    .addColumn('n', 'integer', column => column.notNull())
    .addColumn('at', 'bigint', column => column.notNull())
    .addColumn('decision', 'text', column => column.notNull())
    .addPrimaryKeyConstraint('release_decisions_key', ['release', 'n'])
    .execute()
  await schema
    .createTable('release_events')
    .addColumn('release', 'text', column => column.notNull().references('releases.id'))
    .addColumn('seq', 'bigint', column => column.notNull())
    .addColumn('at', 'bigint', column => column.notNull())
    .addColumn('event', 'text', column => column.notNull())
    .addPrimaryKeyConstraint('release_events_key', ['release', 'seq'])
    .execute()
  await schema
    .createTable('release_results')
    .addColumn('release', 'text', column => column.notNull().references('releases.id'))
    .addColumn('kind', 'text', column => column.notNull())
    .addColumn('at', 'bigint', column => column.notNull())
    .addColumn('content', 'text', column => column.notNull())
    .addPrimaryKeyConstraint('release_results_key', ['release', 'kind'])
    .execute()
  await schema
    .createTable('feedback')
    .addColumn('request', 'text', column => column.notNull())
    .addColumn('key', 'text', column => column.notNull())
    .addColumn('at', 'bigint', column => column.notNull())
    .addColumn('score', 'integer', column => column.notNull())
    .addColumn('model', 'text')
    .addColumn('version', 'text')
    .addPrimaryKeyConstraint('feedback_key', ['request', 'key'])
    .execute()
  await schema.createIndex('feedback_version').on('feedback').columns(['version', 'at']).execute()
  await schema
    .createTable('marks')
    .addColumn('request', 'text', column => column.primaryKey())
    .addColumn('at', 'bigint', column => column.notNull())
    .addColumn('model', 'text', column => column.notNull())
    .addColumn('version', 'text', column => column.notNull())
    .addColumn('judge', 'text', column => column.notNull())
    .addColumn('judge_digest', 'text')
    .addColumn('judge_prompt', 'text', column => column.notNull())
    .addColumn('mark', 'double precision')
    .addColumn('calls', 'integer', column => column.notNull())
    .addColumn('unparsable', 'integer', column => column.notNull())
    .addColumn('control', 'text')
    .addColumn('control_result', 'text')
    .execute()
  await schema.createIndex('marks_at').on('marks').column('at').execute()
  await schema
    .createTable('flag_settings')
    .addColumn('name', 'text', column => column.primaryKey())
    .addColumn('teams', 'text', column => column.notNull())
    .addColumn('share', 'double precision', column => column.notNull())
    .addColumn('at', 'bigint', column => column.notNull())
    .execute()
  await schema
    .createTable('real_versions')
    .addColumn('model', 'text', column => column.primaryKey())
    .addColumn('live', 'text', column => column.notNull())
    .addColumn('asked_live', 'text', column => column.notNull())
    .addColumn('asked_digest', 'text')
    .execute()
}
