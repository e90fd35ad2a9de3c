/** Who asks: found out once a request, before its body is read. */
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import type { Principal } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import type { Identify } from '../../services/access/index.ts'

const callers = new WeakMap<object, Principal>()

export const identifyCaller =
  (identify: Identify): onRequestAsyncHookHandler =>
  async request => {
    callers.set(request, await identify(request.headers.authorization))
  }

export const requireAdmin: onRequestAsyncHookHandler = async request => {
  // The route's pattern: the path itself may hold a key.
  const what = `${request.method} ${request.routeOptions.url ?? 'this'}`
  if (callerOf(request).kind !== 'admin') throw new FaultError({ kind: 'admin-required', what })
}

/** After `identifyCaller`. */
export function callerOf(request: FastifyRequest): Principal {
  const caller = callers.get(request)
  if (caller === undefined) throw new Error('this route is outside the guard')
  return caller
}
