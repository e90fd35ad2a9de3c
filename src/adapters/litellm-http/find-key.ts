/** Finds the key that a script means: by its secret, the hash of one, or its id. Scripts keep any of them. */
import { maskKey } from '../../domain/access/index.ts'
import type { AccessStore, Key } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import { keyId } from '../../domain/units.ts'
import { hashKey } from '../../services/access/index.ts'

export type KeyLookUp = Pick<AccessStore, 'key' | 'keyByHash'>

export async function findKey(store: KeyLookUp, ref: string): Promise<Key | null> {
  if (/^key_[0-9A-Za-z]{16}$/.test(ref)) return store.key(keyId(ref))
  return (/^[0-9a-f]{64}$/.test(ref) ? await store.keyByHash(ref) : null) ?? store.keyByHash(hashKey(ref))
}

/** Throws FaultError `not-found`, without the secret. */
export async function needKey(store: KeyLookUp, ref: string): Promise<Key> {
  return (await findKey(store, ref)) ?? missingKey(ref)
}

export function missingKey(ref: string): never {
  throw new FaultError({ kind: 'not-found', what: 'key', name: ref.startsWith('sk-') ? maskKey(ref) : ref })
}
