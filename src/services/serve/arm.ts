/** Arm: which version of a model in release answers a request, and when the live one stands in for the candidate. */
import { hash } from 'node:crypto'
import { FaultError, type Fault } from '../../domain/fault.ts'
import type { ReleaseMark } from '../../domain/journal/index.ts'
import { armOf } from '../../domain/release/index.ts'
import { conversationOf, type ModelRoute, type ReleaseRoute } from '../../domain/serving/index.ts'
import { ownerOf, type Exchange } from './exchange.ts'

/** Of the SHA-256 of what was assigned, in hex: enough to tell units apart, and no way back to their words. */
const unitDigits = 16

/** Assigned once, before anything is tried. */
export function assignArm(exchange: Exchange, { live }: ModelRoute, release: ReleaseRoute): ReleaseMark {
  const { id, step, salt, candidate } = release
  const unit = hash('sha256', `${salt}\n${unitOf(exchange, release.stick)}`).slice(0, unitDigits)
  const arm = armOf(release, unit)
  return { id, step, arm, version: arm === 'candidate' ? candidate : live, unit }
}

/**
 * Whether the live version is to answer what the candidate did not: whatever is wrong must not reach the client because of
 * the release, as long as it has seen no byte. Some of it may be the client's own mistake, which the live version then tells.
 */
export function liveStandsIn(exchange: Exchange, error: unknown): error is FaultError {
  return error instanceof FaultError && !exchange.gone && exchange.firstByteMs === null && standsInFor(error.fault)
}

/** Both versions refuse a request in the same way: it is not the candidate that is wrong. */
export const isSameRefusal = (candidate: Fault, live: unknown): boolean =>
  live instanceof FaultError && live.fault.kind === candidate.kind && refusals.includes(candidate.kind)

const refusals: readonly Fault['kind'][] = ['engine-refused', 'context-exceeded', 'unsupported']

function standsInFor({ kind }: Fault): boolean {
  switch (kind) {
    case 'no-replica':
    case 'queue-full':
    case 'queue-late':
    case 'engine-lost':
    case 'engine-failed':
    case 'engine-silent':
    case 'not-ready':
      return true
    default:
      return refusals.includes(kind)
  }
}

/** What always gets the same version, as a text; the next coarser thing where a request does not tell. */
function unitOf(exchange: Exchange, stick: ReleaseRoute['stick']): string {
  const { principal, ask, head } = exchange
  if (principal === null || ask === null) throw new TypeError('an arm is assigned after read')
  const owner = ownerOf(principal)
  switch (stick) {
    case 'request':
      return exchange.id
    case 'key':
      return owner
    case 'user':
      return JSON.stringify([owner, userOf(exchange)])
    case 'conversation':
      return hasBeginning(exchange)
        ? conversationOf({ named: head.conversation, owner, ask })
        : JSON.stringify([owner, userOf(exchange)])
    default:
      return stick satisfies never
  }
}

/** The body's word for its user, as OpenAI has it, comes before the program's that sends it. `null`: the key is as fine as is known. */
function userOf({ ask, head }: Exchange): string | null {
  const { user, safety_identifier: identifier } = ask?.body ?? {}
  const named = [user, identifier].find(each => typeof each === 'string' && each !== '')
  return typeof named === 'string' ? named : head.user
}

const hasBeginning = ({ head, ask }: Exchange): boolean =>
  head.conversation !== null || ['messages', 'prompt', 'input'].some(part => part in (ask?.body ?? {}))
