/** Keys and teams in the database. Queries that SQLite and PostgreSQL both run. */
import { sql } from 'kysely'
import type { Kysely, Selectable, Transaction } from 'kysely'
import type {
  AccessChange,
  AccessStore,
  Budget,
  Key,
  Limits,
  NumberedChange,
  Owner,
  RouteScope,
  Team,
} from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import { instant, keyId, modelName, teamName } from '../../domain/units.ts'
import type { Tables } from './schema.ts'

const keptChanges = 10_000

/** `kept`: how many changes `changesSince` can tell. */
export function openAccessStore(
  db: Kysely<Tables>,
  { kept = keptChanges }: { kept?: number | undefined } = {},
): AccessStore {
  const state = (trx: Kysely<Tables>) =>
    trx.selectFrom('access_state').select(['epoch', 'seq']).executeTakeFirstOrThrow()
  const liveFirst = sql`case when keys.revoked_at is null then 0 else 1 end`

  return {
    async epoch() {
      return (await state(db)).epoch
    },

    image: () =>
      db
        .transaction()
        .setAccessMode('read only')
        .execute(async trx => ({
          ...(await state(trx)),
          keys: await readKeys(trx),
          teams: await readTeams(trx),
        })),

    changesSince: since =>
      db
        .transaction()
        .setAccessMode('read only')
        .execute(async trx => {
          const { seq } = await state(trx)
          if (since === seq) return []
          const rows = await trx
            .selectFrom('access_changes')
            .selectAll()
            .where('seq', '>', since)
            .orderBy('seq')
            .execute()
          if (since > seq || rows[0]?.seq !== since + 1) return null
          // Written by `commit` below.
          return rows.map(row => ({ seq: row.seq, change: JSON.parse(row.change) as AccessChange }))
        }),

    commit: changes =>
      db.transaction().execute(async trx => {
        if (changes.length === 0) return []
        // The update comes first: in PostgreSQL, it makes commits wait for one another, so numbers are committed in order.
        const { seq } = await trx
          .updateTable('access_state')
          .set(({ eb }) => ({ seq: eb('seq', '+', changes.length) }))
          .returning('seq')
          .executeTakeFirstOrThrow()
        const numbered: NumberedChange[] = changes.map((change, at) => ({ seq: seq - changes.length + 1 + at, change }))
        for (const { change } of numbered) await apply(trx, change)
        for (const some of slices(numbered, 1000)) {
          await trx
            .insertInto('access_changes')
            .values(some.map(({ seq: number, change }) => ({ seq: number, change: JSON.stringify(change) })))
            .execute()
        }
        await trx
          .deleteFrom('access_changes')
          .where('seq', '<=', seq - kept)
          .execute()
        return numbered
      }),

    async key(id) {
      return (await readKeys(db, query => query.where('keys.id', '=', id)))[0] ?? null
    },
    async keyByHash(hash) {
      const found = await db
        .selectFrom('secrets')
        .innerJoin('keys', 'keys.id', 'secrets.key_id')
        .select('keys.id')
        .where('secrets.hash', '=', hash)
        .orderBy(liveFirst)
        .limit(1)
        .executeTakeFirst()
      return found ? ((await readKeys(db, query => query.where('keys.id', '=', found.id)))[0] ?? null) : null
    },
    async keyByAlias(alias) {
      return (await readKeys(db, query => query.where('alias', '=', alias).where('revoked_at', 'is', null)))[0] ?? null
    },
    keys: () => readKeys(db),
    async team(name) {
      const row = await db.selectFrom('teams').selectAll().where('name', '=', name).executeTakeFirst()
      return row ? toTeam(row) : null
    },
    teams: () => readTeams(db),
  }
}

async function apply(trx: Transaction<Tables>, change: AccessChange): Promise<void> {
  if ('drop' in change) {
    await trx.deleteFrom('teams').where('name', '=', change.name).execute()
  } else if (change.put === 'team') {
    const { name, models, limits, budget, priority, metadata, createdAt, source } = change.team
    const row = {
      models: toJson(models),
      limits: toJson(limits ?? null),
      budget: toJson(budget ?? null),
      priority: priority ?? null,
      metadata: JSON.stringify(metadata),
      created_at: createdAt,
      source,
    }
    await trx
      .insertInto('teams')
      .values({ name, ...row })
      .onConflict(conflict => conflict.column('name').doUpdateSet(row))
      .execute()
  } else {
    await putKey(trx, change.key)
  }
}

async function putKey(trx: Transaction<Tables>, key: Key): Promise<void> {
  if (key.revokedAt === null) await refuseTaken(trx, key)
  const row = {
    alias: key.alias,
    team: key.team,
    models: toJson(key.models),
    created_at: key.createdAt,
    expires_at: key.expiresAt,
    owner: toJson(key.owner),
    routes: toJson(key.routes),
    addresses: toJson(key.addresses),
    blocked_at: key.blockedAt,
    revoked_at: key.revokedAt,
    limits: toJson(key.limits ?? null),
    budget: toJson(key.budget ?? null),
    metadata: JSON.stringify(key.metadata),
  }
  await trx
    .insertInto('keys')
    .values({ id: key.id, ...row })
    .onConflict(conflict => conflict.column('id').doUpdateSet(row))
    .execute()
  await trx.deleteFrom('secrets').where('key_id', '=', key.id).execute()
  if (key.secrets.length === 0) return
  await trx
    .insertInto('secrets')
    .values(
      key.secrets.map((secret, place) => ({
        key_id: key.id,
        place,
        hash: secret.hash,
        valid_until: secret.validUntil,
        live: key.revokedAt === null ? 1 : 0,
      })),
    )
    .execute()
}

async function refuseTaken(trx: Transaction<Tables>, key: Key): Promise<void> {
  if (key.alias !== null) {
    const holder = await trx
      .selectFrom('keys')
      .select('id')
      .where('alias', '=', key.alias)
      .where('revoked_at', 'is', null)
      .where('id', '!=', key.id)
      .executeTakeFirst()
    if (holder) {
      throw new FaultError({
        kind: 'conflict',
        problem: `The alias '${key.alias}' belongs to the key ${holder.id}. Choose another, or revoke that key.`,
      })
    }
  }
  const holder =
    key.secrets.length === 0
      ? undefined
      : await trx
          .selectFrom('secrets')
          .select('key_id')
          .where(
            'hash',
            'in',
            key.secrets.map(secret => secret.hash),
          )
          .where('live', '=', 1)
          .where('key_id', '!=', key.id)
          .executeTakeFirst()
  if (holder) throw new FaultError({ kind: 'conflict', problem: `This secret belongs to the key ${holder.key_id}.` })
}

type KeyQuery = ReturnType<typeof selectKeys>
const selectKeys = (db: Kysely<Tables>) =>
  db
    .selectFrom('keys')
    .leftJoin('secrets', 'secrets.key_id', 'keys.id')
    .selectAll('keys')
    .select(['secrets.hash', 'secrets.valid_until'])
    .orderBy('keys.created_at')
    .orderBy('keys.id')
    .orderBy('secrets.place')

/** One row a secret, so that a key and its secrets are read at one moment. */
async function readKeys(db: Kysely<Tables>, only: (query: KeyQuery) => KeyQuery = query => query): Promise<Key[]> {
  const found = new Map<string, Key>()
  for (const row of await only(selectKeys(db)).execute()) {
    const key = found.get(row.id) ?? toKey(row)
    found.set(row.id, key)
    if (row.hash !== null) key.secrets.push({ hash: row.hash, validUntil: toInstant(row.valid_until) })
  }
  return [...found.values()]
}

async function readTeams(db: Kysely<Tables>): Promise<Team[]> {
  return (await db.selectFrom('teams').selectAll().orderBy('name').execute()).map(toTeam)
}

const toKey = (row: Selectable<Tables['keys']>): Key => ({
  id: keyId(row.id),
  alias: row.alias,
  team: row.team === null ? null : teamName(row.team),
  owner: fromJson<Owner>(row.owner),
  models: toModels(row.models),
  routes: fromJson<RouteScope[]>(row.routes),
  addresses: fromJson<string[]>(row.addresses),
  secrets: [],
  createdAt: instant(row.created_at),
  expiresAt: toInstant(row.expires_at),
  blockedAt: toInstant(row.blocked_at),
  revokedAt: toInstant(row.revoked_at),
  ...toBounds(row),
  metadata: toMetadata(row.metadata),
})

const toTeam = (row: Selectable<Tables['teams']>): Team => ({
  name: teamName(row.name),
  models: toModels(row.models),
  ...toBounds(row),
  ...(row.priority === null ? {} : { priority: row.priority }),
  metadata: toMetadata(row.metadata),
  createdAt: instant(row.created_at),
  source: row.source,
})

const toInstant = (value: number | null) => (value === null ? null : instant(value))
const toJson = (value: readonly string[] | Owner | Limits | Budget | null): string | null =>
  value === null ? null : JSON.stringify(value)
// These columns hold what this file put in.
const fromJson = <T>(text: string | null): T | null => (text === null ? null : (JSON.parse(text) as T))
const toBounds = (row: { limits: string | null; budget: string | null }): Pick<Key, 'limits' | 'budget'> => {
  const limits = fromJson<Limits>(row.limits)
  const budget = fromJson<Budget>(row.budget)
  return { ...(limits === null ? {} : { limits }), ...(budget === null ? {} : { budget }) }
}
const toModels = (text: string | null) => fromJson<string[]>(text)?.map(modelName) ?? null
const toMetadata = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>

function* slices<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += size) yield all.slice(at, at + size)
}
