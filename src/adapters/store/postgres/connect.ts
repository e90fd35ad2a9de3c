/** Connections to PostgreSQL as Kysely takes them, bounded in number and in time; what goes wrong is told in our words. */
import type { PostgresPool, PostgresPoolClient } from 'kysely'
import { Client, Pool, types } from 'pg'
import type { ClientBase, ClientConfig } from 'pg'
import type { Address } from './address.ts'
import { isUnavailable, toStoreError } from './problems.ts'

const connectMs = 5_000
const statementMs = 30_000
const lockMs = 10_000
/** PostgreSQL ends what takes too long; this is for when its word does not arrive. */
const silenceMs = statementMs + 10_000
const mostConnections = 4

/**
 * A pool whose sessions may write only in a transaction that says so (see `dialect.ts`). It connects when it is needed,
 * so a server that was away is found again by the next query.
 */
export function openPool(address: Address): PostgresPool {
  const pool = new Pool({
    ...common(address),
    max: mostConnections,
    statement_timeout: statementMs,
    query_timeout: silenceMs,
    // Durable before it is acknowledged, whatever the server is set to.
    options: `${address.options} ${keepAlive} -c default_transaction_read_only=on -c synchronous_commit=on`,
  })
  // An idle connection that breaks is no news: whoever asks next hears of it, or gets a new one.
  pool.on('error', () => undefined)
  // One that breaks while it is used tells it to the query, too.
  pool.on('connect', client => client.on('error', () => undefined))
  return {
    options: {},
    async connect() {
      try {
        const client = await pool.connect()
        return toPoolClient(client, { store: address.name, release: broken => client.release(broken) })
      } catch (error) {
        throw toStoreError(error, address.name)
      }
    },
    end: () => pool.end(),
  }
}

/** One connection that lasts, as a pool of one: for what belongs to a session. Its statements may take their time. */
export async function openConnection(address: Address, idleMs: number): Promise<PostgresPool> {
  // A session whose client went silent (stopped, cut off) is ended by the server, and gives back what it holds.
  const client = new Client({
    ...common(address),
    options: `${address.options} ${keepAlive} -c idle_session_timeout=${idleMs}`,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch (error) {
    throw toStoreError(error, address.name)
  }
  const only = toPoolClient(client, { store: address.name, release: () => undefined })
  return {
    options: {},
    connect: async () => only,
    // With a query under way `pg` cuts the line instead of waiting for it.
    end: () => client.end().catch(() => undefined),
  }
}

const keepAlive = '-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3'

function common(address: Address): ClientConfig {
  return {
    connectionString: address.url,
    application_name: 'holdfast',
    connectionTimeoutMillis: connectMs,
    lock_timeout: lockMs,
    idle_in_transaction_session_timeout: statementMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 5_000,
    types: { getTypeParser },
  }
}

/** `bigint` and sums of it are numbers here; one that is too large to be exact is an error, not a rounded number. */
const getTypeParser: typeof types.getTypeParser = (oid: number, format?: 'text' | 'binary') => {
  if (oid === types.builtins.INT8 || oid === types.builtins.NUMERIC) return toNumber
  return types.getTypeParser(oid, format)
}

function toNumber(text: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && !Number.isSafeInteger(number))
    throw new Error(`The database holds ${text}, a number too large to be exact.`)
  return number
}

type Use = { store: string; release: (broken: boolean) => void }

function toPoolClient(client: ClientBase, { store, release }: Use): PostgresPoolClient {
  let broken = false
  const query: unknown = async (text: string, parameters: readonly unknown[]) => {
    try {
      return await client.query(text, parameters.map(withoutNul))
    } catch (error) {
      const told = toStoreError(error, store)
      broken ||= isUnavailable(told)
      throw told
    }
  }
  return {
    // Kysely's driver asks with text and parameters, and reads rows, command and count: `pg`'s own type says far more.
    query: query as PostgresPoolClient['query'],
    release: discard => release(broken || discard === true),
  }
}

/** PostgreSQL's text can't hold U+0000, and what clients sent may. */
const withoutNul = (value: unknown): unknown =>
  typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value
