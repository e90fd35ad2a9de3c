/** Erasure: which lines are about somebody, and the act that vouches for the lines that are gone. Rules J19 to J21 of SPEC.md. */
import type { ActId, Instant } from '../units.ts'
import type { ActRecord, JournalRecord } from './record.ts'

/** Somebody, by everything records may call them: ids of keys and subjects of tokens, and names. Up to a moment. */
export type Subject = { ids: readonly string[]; names: readonly string[]; until: Instant }

/** What one act of erasure took from one segment. `digest`: SHA-256 of the digests of those lines, in hex, in their order. */
export type Cover = { act: ActId; epoch: string; segment: number; lines: number; digest: string }

/** The act whose detail is a cover. */
export const erasedAct = 'audit.erased'
/** The act whose detail says what retention took. */
export const retainedAct = 'audit.retained'

/** Acts about the audit trail itself stay: the chain is verified with them, and they name nobody. */
const isOfAudit = (act: ActRecord): boolean => act.what.startsWith('audit.')

export function isAbout(record: JournalRecord, { ids, names, until }: Subject): boolean {
  switch (record.t) {
    case 'open':
    case 'close':
    case 'feedback':
      return record.at <= until && record.key !== null && ids.includes(record.key)
    case 'act':
      return record.at <= until && !isOfAudit(record) && speaksOf(record)
    case 'gap':
    case 'erased':
    case 'block':
      return false
    default:
      return record satisfies never
  }

  function speaksOf({ who, alias, what, target, why, detail }: ActRecord): boolean {
    const words = [alias, target, ...textsOf(detail)].filter(text => text !== null)
    // A team or a model may be called what a person is called.
    const said = whoseActs.test(what) ? [...ids, ...names] : ids
    return (
      (who !== null && ids.includes(who)) ||
      words.some(word => said.includes(word)) ||
      (why !== null && (ids.some(id => why.includes(id)) || names.some(name => why.includes(`'${name}'`))))
    )
  }
}
const whoseActs = /^(key|user)\./

function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : []
}

export const toCoverDetail = ({ epoch, segment, lines, digest }: Omit<Cover, 'act'>): Record<string, unknown> => ({
  epoch,
  segment,
  lines,
  digest,
})

/** The cover that an act says; `null`: it says none. */
export function coverOf({ what, id, detail }: ActRecord): Cover | null {
  if (what !== erasedAct || detail === null) return null
  const { epoch, segment, lines, digest } = detail
  if (typeof epoch !== 'string' || typeof segment !== 'number') return null
  if (typeof lines !== 'number' || typeof digest !== 'string') return null
  return { act: id, epoch, segment, lines, digest }
}
