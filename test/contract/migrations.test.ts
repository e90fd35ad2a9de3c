/** Migrations over each database: on copies with a row in every table, forward only, and back to a program that may. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kysely, sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { migrate, migrations, type Migration } from '../../src/adapters/store/migrations.ts'
import { parseAddress } from '../../src/adapters/store/postgres/address.ts'
import { openConnection } from '../../src/adapters/store/postgres/connect.ts'
import { postgresDialect } from '../../src/adapters/store/postgres/dialect.ts'
import type { Tables } from '../../src/adapters/store/schema.ts'
import { sqliteDialect } from '../../src/adapters/store/sqlite/dialect.ts'
import { openExecutor } from '../../src/adapters/store/sqlite/executor.ts'
import { startPostgres, withoutPostgres, type Postgres } from '../support/postgres.ts'

/** Where databases are made: by address, so that one can be copied while nobody uses it. */
type World = {
  make: () => Promise<string>
  copy: (from: string) => Promise<string>
  open: (at: string) => Promise<Kysely<Tables>>
}
type Rows = Record<string, unknown>[]

let folder: string
let postgres: Postgres
let files = 0
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-migrations-'))
  if (!withoutPostgres) postgres = await startPostgres()
}, 90_000)
afterAll(async () => {
  await postgres?.close()
  rmSync(folder, { recursive: true, force: true })
}, 60_000)

const openFile = async (path: string) =>
  new Kysely<Tables>({ dialect: sqliteDialect(openExecutor({ path, synchronous: 'normal' })) })
const sqlite: World = {
  make: async () => join(folder, `${++files}.db`),
  open: openFile,
  async copy(from) {
    const to = join(folder, `${++files}.db`)
    const db = await openFile(from)
    await sql`vacuum into ${to}`.execute(db)
    await db.destroy()
    return to
  },
}
const server: World = {
  make: () => postgres.newDatabase(),
  copy: from => postgres.newDatabase(from),
  async open(url) {
    const connection = await openConnection(parseAddress(url), 60_000)
    return new Kysely<Tables>({ dialect: postgresDialect(connection, { term: null }) })
  },
}

const bring = (db: Kysely<Tables>, steps: readonly Migration[] = migrations) =>
  migrate(db, { epoch: 'e', now: 1, steps })
const appliedIn = async (db: Kysely<Tables>): Promise<number[]> =>
  (await db.selectFrom('schema_migrations').select('n').orderBy('n').execute()).map(({ n }) => n)
const newest = migrations.at(-1)?.n ?? 0

describe.each([
  ['SQLite', sqlite, false],
  ['PostgreSQL', server, withoutPostgres],
])('migrations of %s', (_name, world, missing) => {
  async function use<T>(at: string, work: (db: Kysely<Tables>) => Promise<T>): Promise<T> {
    const db = await world.open(at)
    return work(db).finally(() => db.destroy())
  }
  async function open(): Promise<Kysely<Tables>> {
    const db = await world.open(await world.make())
    onTestFinished(() => db.destroy())
    return db
  }

  test.skipIf(missing).each(migrations.slice(0, -1).map(({ n, name }) => [n, name] as const))(
    'what is in a database as step %i (%s) left it is all there after the newest step, in a copy of it',
    { timeout: 60_000 },
    async n => {
      const released = migrations.slice(0, migrations.findIndex(step => step.n === n) + 1)
      const old = await world.make()
      const before = await use(old, async db => {
        await bring(db, released)
        await fillEveryTable(db)
        return readAll(db)
      })
      expect(Object.keys(before).length).toBeGreaterThan(8)
      for (const [table, rows] of Object.entries(before)) expect([table, rows.length > 0]).toEqual([table, true])

      const copy = await world.copy(old)
      const after = await use(copy, async db => {
        await bring(db)
        expect(await appliedIn(db)).toEqual(migrations.map(step => step.n))
        return readAll(db)
      })
      for (const [table, rows] of Object.entries(before)) {
        const columns = Object.keys(rows[0] ?? {})
        const kept = table === 'schema_migrations' ? (after[table] ?? []).slice(0, rows.length) : (after[table] ?? [])
        expect({ [table]: onlyColumns(kept, columns) }).toEqual({ [table]: rows })
      }
      // The copy was migrated, not this one.
      expect(await use(old, appliedIn)).toEqual(released.map(step => step.n))
    },
  )

  test.skipIf(missing)('a step that fails leaves the database as it was, and may be tried again', async () => {
    const db = await open()
    await bring(db)
    const before = await tablesOf(db)
    let works = false
    const step: Migration = {
      n: newest + 1,
      name: 'half-way',
      async up(trx) {
        await trx.schema.createTable('half').addColumn('n', 'integer').execute()
        if (!works) throw new Error('no space left')
      },
    }
    await expect(bring(db, [...migrations, step])).rejects.toThrow('no space left')
    expect(await tablesOf(db)).toEqual(before)
    expect((await appliedIn(db)).at(-1)).toBe(newest)
    works = true
    await bring(db, [...migrations, step])
    expect((await appliedIn(db)).at(-1)).toBe(newest + 1)
  })

  test.skipIf(missing)('a step that was given a lower number than one that is applied is still applied', async () => {
    const db = await open()
    await bring(db, [...migrations.filter(({ n }) => n !== newest), aStep(newest + 1)])
    await bring(db, [...migrations, aStep(newest + 1)])
    expect((await appliedIn(db)).slice(-2)).toEqual([newest, newest + 1])
  })

  describe.skipIf(missing)('back to the program before', () => {
    test('it starts on the newer schema when the step says that it may, and its changes are kept by the newer one', async () => {
      const db = await open()
      const newer = [...migrations, aStep(newest + 1, { readableBy: newest })]
      await bring(db, newer)
      await bring(db)
      await sql`insert into teams (name, metadata, created_at, source) values ('t', '{}', 1, 'api')`.execute(db)
      expect((await appliedIn(db)).at(-1)).toBe(newest + 1)
      await bring(db, newer)
      expect(await appliedIn(db)).toEqual(newer.map(({ n }) => n))
      expect((await db.selectFrom('teams').select('name').execute()).map(({ name }) => name)).toEqual(['t'])
    })

    test.each([
      ['does not say so', [{}]],
      ['says that only newer ones may', [{ readableBy: newest + 1 }]],
      ['does, and another one does not', [{ readableBy: newest }, {}]],
    ])('it is refused, and changes nothing, when the step %s', async (_name, bounds) => {
      const db = await open()
      await bring(db, [...migrations, ...bounds.map((bound, at) => aStep(newest + 1 + at, bound))])
      const before = await readAll(db)
      await expect(bring(db)).rejects.toThrow(
        new RegExp(`schema ${newest + bounds.length}, and this Holdfast knows schemas up to ${newest}`),
      )
      expect(await readAll(db)).toEqual(before)
    })

    test('one that is older than that is refused', async () => {
      const db = await open()
      await bring(db, [...migrations, aStep(newest + 1, { readableBy: newest })])
      await expect(bring(db, migrations.slice(0, -1))).rejects.toThrow(/a newer one wrote it/)
    })
  })
})

test('steps are numbered upwards, and none from before there was a place for it says who may use it', () => {
  const numbers = migrations.map(({ n }) => n)
  expect(numbers).toEqual(numbers.map((_, at) => at + 1))
  expect(migrations.filter(({ n, readableBy }) => n <= 6 && readableBy !== undefined)).toEqual([])
  for (const { n, readableBy } of migrations) if (readableBy !== undefined) expect(readableBy).toBeLessThan(n)
})

function aStep(n: number, bound: { readableBy?: number } = {}): Migration {
  const up: Migration['up'] = async ({ schema }) => {
    await schema.createTable(`table_${n}`).addColumn('n', 'integer').execute()
    await schema.alterTable('teams').addColumn(`column_${n}`, 'text').execute()
  }
  return { n, name: `step ${n}`, ...bound, up }
}

async function tablesOf(db: Kysely<Tables>) {
  const tables = await db.introspection.getTables()
  return tables
    .filter(({ isView }) => !isView)
    .map(({ name, columns }) => ({
      name,
      columns: columns.map(column => ({ name: column.name, type: column.dataType })),
    }))
}

/** Three rows in each table. Text says the same in every column, so that references find what they refer to. */
async function fillEveryTable(db: Kysely<Tables>): Promise<void> {
  let left = (await tablesOf(db)).filter(({ name }) => !['schema_migrations', 'access_state'].includes(name))
  while (left.length > 0) {
    const waiting: typeof left = []
    let why: unknown
    for (const table of left) {
      try {
        for (let row = 1; row <= 3; row++) {
          const values = table.columns.map(({ type }) => valueOf(type, row))
          const columns = table.columns.map(({ name }) => sql.ref(name))
          await sql`insert into ${sql.table(table.name)} (${sql.join(columns)}) values (${sql.join(values)})`.execute(
            db,
          )
        }
      } catch (error) {
        // What it refers to is not there yet.
        why = error
        waiting.push(table)
      }
    }
    if (waiting.length === left.length) throw why
    left = waiting
  }
}

function valueOf(type: string, row: number): string | number {
  if (/text/i.test(type)) return `value ${row}: ü 'quoted'`
  if (/bigint|int8/i.test(type)) return 3_000_000_000 + row
  if (/int/i.test(type)) return row
  if (/double|float|real/i.test(type)) return row + 0.25
  throw new Error(`A column of type ${type}: say here what to fill it with.`)
}

async function readAll(db: Kysely<Tables>): Promise<Record<string, Rows>> {
  const found: Record<string, Rows> = {}
  for (const { name } of await tablesOf(db)) {
    const { rows } = await sql<Record<string, unknown>>`select * from ${sql.table(name)} order by 1`.execute(db)
    found[name] = rows.map(row => ({ ...row }))
  }
  return found
}

const onlyColumns = (rows: Rows, columns: string[]): Rows =>
  rows.map(row => Object.fromEntries(columns.map(column => [column, row[column]])))
