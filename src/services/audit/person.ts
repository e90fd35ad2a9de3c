/** Whom a reference means: everything that records may call them. */
import type { AccessStore, Key } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import type { AuditStore, Subject } from '../../domain/journal/index.ts'
import type { Instant } from '../../domain/units.ts'

export type Person = {
  subject: Subject
  /** Keys of theirs that still open something, or may again: what these do from now on is recorded. */
  living: string[]
}

export type FindPerson = (ref: string) => Promise<Person>

const nobody = new Set(['admin', 'controller', 'erased'])

/**
 * `ref`: a key's id or alias, a person's name, or a token's subject. A person's keys belong together: whoever means one of
 * them means all. Throws FaultError `not-found`, or `request-invalid` for what is no person.
 */
export function findPersonBy({
  keys,
  store,
  now,
}: {
  keys: Pick<AccessStore, 'keys'>
  store: Pick<AuditStore, 'idsByAlias' | 'aliasesOf' | 'countAbout'>
  now: () => Instant
}): FindPerson {
  return async ref => {
    if (nobody.has(ref)) {
      const problem = `'${ref}' is nobody in particular. Name a key (id or alias), a person or a token's subject.`
      throw new FaultError({ kind: 'request-invalid', param: 'who', problem })
    }
    const all = await keys.keys()
    const named = all.filter(key => [key.id, key.alias, personOf(key)].includes(ref))
    const persons = new Set(named.flatMap(key => personOf(key) ?? []))
    const theirs = all.filter(key => named.includes(key) || persons.has(personOf(key) ?? ''))
    const tokens = [ref.startsWith('jwt:') ? ref : `jwt:${ref}`, ...(await store.idsByAlias(ref))]
    const ids = [...new Set([...theirs.map(key => key.id), ...tokens])]
    const names = new Set([...theirs.flatMap(key => key.alias ?? []), ...persons, ...(await store.aliasesOf(ids))])
    if (!ids.includes(ref)) names.add(ref)
    const subject = { ids, names: [...names], until: now() }
    if (theirs.length === 0) {
      const { requests, acts } = await store.countAbout(subject)
      if (requests + acts === 0) throw new FaultError({ kind: 'not-found', what: 'key, person or token', name: ref })
    }
    return { subject, living: theirs.filter(key => key.revokedAt === null).map(key => key.id) }
  }
}

const personOf = (key: Key): string | null => (key.owner?.kind === 'person' ? key.owner.name : null)
