/** Authenticate: whose key or token is it. Before the body is read, so that strangers can't make the gateway hold megabytes. */
import { refuseByScope } from '../../domain/access/index.ts'
import type { KeyRefusal, Principal, Scopes } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import { routeScopeOf } from '../../domain/serving/index.ts'
import { instant } from '../../domain/units.ts'
import { ClientGone, type Exchange, type Stage } from './exchange.ts'

export type Authenticated = { ok: true; principal: Principal; scopes: Scopes } | { ok: false; why: KeyRefusal }

/**
 * Looks a key up; `now` decides expiry. Only a token (JWT) may take a promise. Throws, or rejects with, FaultError for a
 * token that is not believed.
 */
export type Authenticate = (key: string, now: number) => Authenticated | Promise<Authenticated>

export const authenticate =
  (lookUp: Authenticate, now: () => number): Stage =>
  exchange => {
    const { key } = exchange.head
    if (key === null) throw new FaultError({ kind: 'key-missing' })
    const found = lookUp(key, instant(now()))
    if (!(found instanceof Promise)) return enter(exchange, found)
    return found.then(later => {
      // Who left meanwhile will send no body to wait for.
      if (exchange.gone) throw new ClientGone()
      enter(exchange, later)
    })
  }

function enter(exchange: Exchange, found: Authenticated): void {
  if (!found.ok) throw new FaultError({ kind: 'key-refused', why: found.why })
  const { path, from } = exchange.head
  // Known before it is refused, so that the journal says whose request it was.
  exchange.principal = found.principal
  const refusal = refuseByScope(found.scopes, { route: routeScopeOf(path), from })
  if (refusal !== null) throw new FaultError(refusal)
}
