/** Addresses of Redis and Valkey, and what their errors mean, in words that hold no password. */

export type RedisAddress = {
  url: string
  /** For messages: no user, no password. */
  shown: string
  /** Must not be repeated to anybody. */
  password: string
}

const expected = 'Write redis://[user:password@]host[:port][/database], or rediss:// for TLS'

/** Throws with what is wrong with it. */
export function parseRedisAddress(text: string): RedisAddress {
  const url = URL.parse(text.trim().replace(/^valkey(s?):/, 'redis$1:'))
  if (url === null || !/^rediss?:$/.test(url.protocol) || url.hostname === '')
    throw new Error(`gateway.sharedLimits is not the address of a Redis or Valkey. ${expected}.`)
  if (!/^(\/\d{0,4})?$/.test(url.pathname))
    throw new Error(`gateway.sharedLimits names a database that is not a number. ${expected}.`)
  const shown = `${url.hostname}:${url.port === '' ? '6379' : url.port}`
  return { url: url.href, shown, password: decode(url.password) }
}

/** What happened, where, and what to do. */
export function explain(error: unknown, { shown, password }: RedisAddress): Error {
  const told = error instanceof Error ? error.message || codeOf(error) : String(error)
  const hidden = password === '' ? told : told.replaceAll(password, '***')
  const advice = advices.find(([mark]) => mark.test(`${codeOf(error)} ${hidden}`))?.[1]
  return new Error(`Redis at ${shown}: ${advice ?? hidden.slice(0, 200)}`)
}

const advices: readonly [mark: RegExp, advice: string][] = [
  [/ECONNREFUSED/, 'nothing listens there (ECONNREFUSED). Is it running, and is gateway.sharedLimits right?'],
  [/ENOTFOUND|EAI_AGAIN/, 'its name is not known (DNS). Is gateway.sharedLimits right?'],
  [/WRONGPASS|invalid password|invalid username/i, 'it refuses the user or the password of gateway.sharedLimits.'],
  [/NOAUTH|Authentication required/i, 'it wants a password. Add it to gateway.sharedLimits: redis://:password@host.'],
  [/NOPERM/, 'this user may not run EVALSHA, EVAL and TIME, or not on keys {holdfast:limits}*. Change its ACL.'],
  [/READONLY/, 'it is a read-only replica. gateway.sharedLimits has to name the primary.'],
  [/CROSSSLOT|MOVED/, 'it is a node of a cluster. gateway.sharedLimits has to name a single primary.'],
  [
    /certificate|self.signed|ERR_TLS|SSL|wrong version number/i,
    'TLS fails. Does it speak TLS (rediss://), and is its certificate trusted (NODE_EXTRA_CA_CERTS)?',
  ],
  [/OOM command not allowed/, 'its memory is full. Raise maxmemory.'],
]

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
