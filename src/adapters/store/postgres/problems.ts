/** What an error of PostgreSQL or of the way to it means: that the store can't be used now, or something of its own. */
import { FaultError } from '../../../domain/fault.ts'
import type { Fault } from '../../../domain/fault.ts'

type Unavailable = FaultError & { fault: Extract<Fault, { kind: 'store-unavailable' }> }

/** `23505 unique_violation` and the like stay what they are; only their code and message go on, which hold no values. */
export function toStoreError(error: unknown, store: string): Error {
  if (error instanceof FaultError) return error
  const code = codeOf(error)
  const message = error instanceof Error ? error.message : String(error)
  // A copy: `pg` hangs the connection, and so its settings, onto some errors.
  const cause = Object.assign(new Error(message), { code })
  const problem = problemOf(code, message)
  return problem === null
    ? cause
    : new FaultError({ kind: 'store-unavailable', store, problem, inDoubt: false }, { cause })
}

export const isUnavailable = (error: unknown): error is Unavailable =>
  error instanceof FaultError && error.fault.kind === 'store-unavailable'

/** Waiting does not help: a user, a password, a database or a right is wrong. */
export function needsPerson(error: FaultError): boolean {
  return /^(28|3D|42501|3F)/.test(codeOf(error.cause) ?? '')
}

/** By SQLSTATE (appendix A of PostgreSQL's manual) or by the system's word. `null`: the store as such is well. */
function problemOf(code: string | null, message: string): string | null {
  if (code === null) return lost.test(message) ? 'the connection to it was lost' : null
  switch (code) {
    case 'ECONNREFUSED':
    case 'ENOENT':
      return `nothing listens there (${code}): it does not run, or the address is wrong`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `its host's name can't be looked up (${code})`
    case 'ECONNRESET':
    case 'EPIPE':
      return 'the connection to it was lost'
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `it can't be reached (${code})`
    case '57P01':
    case '57P02':
      return 'it is shutting down or was restarted'
    case '57P03':
      return 'it is starting up or shutting down'
    case '57P05':
      return 'it ended a session that was idle for too long'
    // Transactions that write begin with that word, so nothing else says this.
    case '0A000':
      return /recovery/.test(message) ? 'it is a replica, which takes no changes' : null
    case '25P03':
    case '55P03':
    case '57014':
      return `it is too busy (${message})`
    case '3D000':
    case '3F000':
    case '42501':
      return message
  }
  if (code.startsWith('28')) return `it does not let this user in (${message})`
  if (code.startsWith('08')) return `the connection to it failed (${message})`
  if (/^(53|58|XX)/.test(code)) return `it has a trouble of its own (${message})`
  return null
}

/** `pg`'s own errors, which have no code. */
const lost = /connection (terminated|error)|not queryable|timeout e(xceeded|xpired)|query read timeout|was closed/i

const codeOf = (error: unknown): string | null =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null
