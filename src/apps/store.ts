/**
 * The store that the spec names: a SQLite file in the state folder, or PostgreSQL. Only that one's client is loaded: every start
 * of every process would wait for the other's.
 */
import { resolveSecret } from '../adapters/secrets/index.ts'
import type { Store } from '../adapters/store/sqlite/index.ts'
import type { Home } from './paths.ts'

export type StorePlace =
  | { kind: 'sqlite'; path: string }
  /** `url` holds the password; `name` is for people. */
  | { kind: 'postgresql'; url: string; name: string }

/** A place with the right to write there; handed to the thread that ingests, too. */
export type StoreAccess = { kind: 'sqlite'; path: string } | { kind: 'postgresql'; url: string; term: number }

/** `store`: as the spec has it, `sqlite` or a reference to an address. Rejects with an Error that says what to do, without the address. */
export async function readStorePlace(
  store: string,
  { home, env }: { home: Pick<Home, 'database'>; env: Record<string, string | undefined> },
): Promise<StorePlace> {
  if (store === 'sqlite') return { kind: 'sqlite', path: home.database }
  try {
    const url = resolveSecret(store, env)
    const { parseAddress } = await postgres()
    return { kind: 'postgresql', url, name: parseAddress(url).name }
  } catch (error) {
    throw new Error(`store: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

/** Rejects when a file can't be opened or is from a newer program. A server that is away is told by what is asked of it. */
export async function openStoreAt(access: StoreAccess): Promise<Store> {
  return access.kind === 'sqlite'
    ? (await sqlite()).openSqliteStore(access)
    : (await postgres()).openPostgresStore(access)
}

/** For ingestion, in a thread of its own: what is lost with the power is taken from the journal again. */
export async function openIngestStore(access: StoreAccess): Promise<Store> {
  return access.kind === 'sqlite'
    ? (await sqlite()).openSqliteStoreHere(access)
    : (await postgres()).openPostgresStore(access)
}

const sqlite = () => import('../adapters/store/sqlite/index.ts')
const postgres = () => import('../adapters/store/postgres/index.ts')
