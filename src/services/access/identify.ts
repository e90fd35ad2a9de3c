/** Who asks the controller something: by the key in `Authorization`, checked against the store. */
import { timingSafeEqual } from 'node:crypto'
import { authenticate, buildAccessTable, checkKeyFormat } from '../../domain/access/index.ts'
import type { AccessStore, Principal } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import type { Instant } from '../../domain/units.ts'
import { hashKey } from './hash-key.ts'

export type Identify = (authorization: string | undefined) => Promise<Principal>

/** Throws FaultError `key-missing` or `key-refused`. `adminHash`: SHA-256 of the admin key, hex. */
export function identifyBy({
  store,
  adminHash,
  now,
}: {
  store: Pick<AccessStore, 'keyByHash'>
  adminHash: string
  now: () => Instant
}): Identify {
  const admin = Buffer.from(adminHash, 'hex')
  return async authorization => {
    const [, sent] = /^Bearer +(\S+) *$/i.exec(authorization ?? '') ?? []
    if (sent === undefined) throw new FaultError({ kind: 'key-missing' })
    const hash = hashKey(sent)
    if (timingSafeEqual(Buffer.from(hash, 'hex'), admin)) return { kind: 'admin' }
    const key = await store.keyByHash(hash)
    const table = buildAccessTable({ epoch: '', seq: 0, adminHash, keys: key === null ? [] : [key], teams: [] })
    const answer = authenticate(table, { hash, format: checkKeyFormat(sent) }, now())
    if (!answer.ok) throw new FaultError({ kind: 'key-refused', why: answer.why })
    return answer.principal
  }
}
