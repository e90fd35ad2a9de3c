/** Kysely on PostgreSQL, made to keep the same promises as on SQLite: one writer at a time, one order of text. */
import {
  ColumnDefinitionNode,
  CompiledQuery,
  DataTypeNode,
  PostgresDialect,
  PostgresDriver,
  PostgresQueryCompiler,
  RawNode,
} from 'kysely'
import type { DatabaseConnection, Dialect, PostgresPool, TransactionSettings } from 'kysely'
import { FaultError } from '../../../domain/fault.ts'
import { isUnavailable } from './problems.ts'
import { readActive, standby } from './active-controller.ts'

/** `term`: whose writes these are; `null`: they are guarded in another way. */
export function postgresDialect(pool: PostgresPool, { term }: { term: number | null }): Dialect {
  const plain = new PostgresDialect({ pool })
  return {
    createAdapter: () => plain.createAdapter(),
    createDriver: () => new Driver({ pool }, term),
    createIntrospector: db => plain.createIntrospector(db),
    createQueryCompiler: () => new QueryCompiler(),
  }
}

/** A class because Kysely's driver is one: it owns the pool. */
class Driver extends PostgresDriver {
  readonly #term: number | null
  constructor(config: { pool: PostgresPool }, term: number | null) {
    super(config)
    this.#term = term
  }

  /**
   * One that reads sees one moment in all its statements. One that writes first takes the one row that all writers take:
   * they wait for each other as on SQLite, and whoever's term is over is refused for certain, since a new term begins
   * with a change of that row.
   */
  override async beginTransaction(connection: DatabaseConnection, { accessMode }: TransactionSettings): Promise<void> {
    if (accessMode === 'read only') {
      await connection.executeQuery(CompiledQuery.raw('start transaction isolation level repeatable read read only'))
      return
    }
    await connection.executeQuery(CompiledQuery.raw('start transaction read write'))
    if (this.#term === null) return
    try {
      const active = await readActive(connection, { lock: true })
      if (active.term !== this.#term) throw new FaultError(standby(active))
    } catch (error) {
      await connection.executeQuery(CompiledQuery.raw('rollback')).catch(() => undefined)
      throw error
    }
  }

  /** The server's answer to a commit may be lost when it was made. */
  override async commitTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await super.commitTransaction(connection)
    } catch (error) {
      if (!isUnavailable(error)) throw error
      throw new FaultError({ ...error.fault, inDoubt: true }, { cause: error.cause })
    }
  }
}

/** Text is compared by its bytes, whatever language the database was made for: ids are read in ranges, and pages must not skip. */
class QueryCompiler extends PostgresQueryCompiler {
  protected override visitColumnDefinition(node: ColumnDefinitionNode): void {
    const isText = DataTypeNode.is(node.dataType) && node.dataType.dataType === 'text'
    const collation = RawNode.createWithSql('collate "C"')
    super.visitColumnDefinition(isText ? ColumnDefinitionNode.cloneWithFrontModifier(node, collation) : node)
  }
}
