/** Where a PostgreSQL database is: read from a URL that holds a password, told without it. */
import { Client } from 'pg'

export type Address = {
  /** Holds the password: for `pg` alone. Without `options`, which a connection has of its own. */
  url: string
  /** What the URL sets for its sessions (`?options=-c …`). */
  options: string
  /** For people: `PostgreSQL at db.example:5432/holdfast`. */
  name: string
}

/** Throws an Error that does not repeat the URL. */
export function parseAddress(url: string): Address {
  if (!/^postgres(ql)?:\/\//.test(url)) throw new Error(notAnAddress)
  try {
    const bare = new URL(url)
    const options = bare.searchParams.get('options') ?? ''
    bare.searchParams.delete('options')
    const { host, port, database } = new Client({ connectionString: bare.href })
    return { url: bare.href, options, name: `PostgreSQL at ${host}:${port}/${database ?? ''}` }
  } catch {
    // What they throw quotes the URL.
    throw new Error(notAnAddress)
  }
}

const notAnAddress =
  'The address of the store is not one of PostgreSQL: expected postgres://user:password@host:5432/database, with ' +
  'special characters of the password percent-encoded.'
