/** Authenticate: whose key is it. Before the body is read, so that strangers can't make the gateway hold megabytes. */
import { FaultError } from '../../domain/fault.ts'
import { instant } from '../../domain/units.ts'
import type { KeyRefusal, Principal } from '../../domain/access/index.ts'
import type { Stage } from './exchange.ts'

/** Looks a key up; `now` decides expiry. */
export type Authenticate = (
  key: string,
  now: number,
) => { ok: true; principal: Principal } | { ok: false; why: KeyRefusal }

export const authenticate =
  (lookUp: Authenticate, now: () => number): Stage =>
  next =>
  exchange => {
    const { key } = exchange.head
    if (key === null) throw new FaultError({ kind: 'key-missing' })
    const found = lookUp(key, instant(now()))
    if (!found.ok) throw new FaultError({ kind: 'key-refused', why: found.why })
    exchange.principal = found.principal
    return next(exchange)
  }
