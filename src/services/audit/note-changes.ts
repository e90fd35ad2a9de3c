/** What an act changed: noted where access is committed, so that no verb of access has to think of it. */
import type { AccessChange, AccessStore, Key, Team } from '../../domain/access/index.ts'

/** `detail`: what changed; left out: it was only looked at. */
export type Note = { noun: string; target: string; detail?: Record<string, unknown> }

/** Collects what the act under way is about. Outside an act it does nothing. */
export interface Notes {
  note(note: Note): void
}

const detailChars = 4_096

/** The same store, which notes what is looked up and what is committed, before and after. */
export function noteChanges(store: AccessStore, notes: Notes): AccessStore {
  const looked = <T extends Key | Team | null>(found: T): T => {
    if (found !== null)
      notes.note('id' in found ? { noun: 'key', target: found.id } : { noun: 'team', target: found.name })
    return found
  }
  return {
    ...store,
    key: async id => looked(await store.key(id)),
    keyByHash: async hash => looked(await store.keyByHash(hash)),
    keyByAlias: async alias => looked(await store.keyByAlias(alias)),
    team: async name => looked(await store.team(name)),
    async commit(changes) {
      const before: (Key | Team | null)[] = []
      for (const change of changes) before.push(await valueBefore(store, change))
      const numbered = await store.commit(changes)
      changes.forEach((change, at) => notes.note(toNote(change, before[at] ?? null)))
      return numbered
    },
  }
}

function valueBefore(store: AccessStore, change: AccessChange): Promise<Key | Team | null> {
  if ('drop' in change) return store.team(change.name)
  return change.put === 'key' ? store.key(change.key.id) : store.team(change.team.name)
}

function toNote(change: AccessChange, before: Key | Team | null): Note {
  if ('drop' in change) return { noun: 'team', target: change.name, detail: difference(before, null) }
  return change.put === 'key'
    ? { noun: 'key', target: change.key.id, detail: difference(before, change.key) }
    : { noun: 'team', target: change.team.name, detail: difference(before, change.team) }
}

/** Only what differs. Of secrets only until when, and of metadata the names: its values are the client's own. */
function difference(before: Key | Team | null, after: Key | Team | null): Record<string, unknown> {
  const [old, now] = [tellable(before), tellable(after)]
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])].filter(
    name => JSON.stringify(old[name] ?? null) !== JSON.stringify(now[name] ?? null),
  )
  const part = (all: Record<string, unknown>) => Object.fromEntries(names.map(name => [name, all[name] ?? null]))
  const detail = {
    ...(before === null ? {} : { before: part(old) }),
    ...(after === null ? {} : { after: part(now) }),
  }
  return JSON.stringify(detail).length <= detailChars ? detail : { changed: names }
}

function tellable(value: Key | Team | null): Record<string, unknown> {
  if (value === null) return {}
  const { metadata, createdAt: _, ...rest } = value
  if (!('secrets' in rest)) return { ...rest, metadata: Object.keys(metadata) }
  const { id: __, secrets, ...fields } = rest
  return {
    ...fields,
    secrets: secrets.map(secret => ({ validUntil: secret.validUntil })),
    metadata: Object.keys(metadata),
  }
}
