/** An access store in memory, for tests. Runs under the same contract as the real ones. */
import { FaultError } from '../fault.ts'
import type { AccessStore } from './ports.ts'
import type { AccessChange, Key, NumberedChange, Team } from './types.ts'

/** `kept`: how many changes `changesSince` remembers. */
export function fakeAccessStore({
  epoch = 'epoch-1',
  kept = 1000,
}: { epoch?: string; kept?: number } = {}): AccessStore {
  const keys = new Map<string, Key>()
  const teams = new Map<string, Team>()
  const log: NumberedChange[] = []
  let seq = 0
  const all = () => [...keys.values()]
  const allTeams = () => [...teams.values()].sort((a, b) => (a.name < b.name ? -1 : 1))

  function refuseTaken(key: Key): void {
    if (key.revokedAt !== null) return
    const others = all().filter(other => other.id !== key.id && other.revokedAt === null)
    if (key.alias !== null && others.some(other => other.alias === key.alias)) {
      throw new FaultError({ kind: 'conflict', problem: `The alias '${key.alias}' belongs to another key.` })
    }
    const hashes = new Set(key.secrets.map(secret => secret.hash))
    if (others.some(other => other.secrets.some(secret => hashes.has(secret.hash)))) {
      throw new FaultError({ kind: 'conflict', problem: 'This secret belongs to another key.' })
    }
  }

  function apply(change: AccessChange): void {
    if ('drop' in change) teams.delete(change.name)
    else if (change.put === 'team') teams.set(change.team.name, change.team)
    else {
      refuseTaken(change.key)
      keys.set(change.key.id, change.key)
    }
  }

  return {
    epoch: async () => epoch,
    image: async () => ({ epoch, seq, keys: all(), teams: allTeams() }),
    async changesSince(since) {
      if (since > seq) return null
      const oldest = log[0]?.seq ?? seq + 1
      return since + 1 < oldest ? null : log.filter(entry => entry.seq > since)
    },
    async commit(changes) {
      const before = { keys: new Map(keys), teams: new Map(teams) }
      try {
        for (const change of changes) apply(change)
      } catch (error) {
        keys.clear()
        teams.clear()
        for (const [id, key] of before.keys) keys.set(id, key)
        for (const [name, team] of before.teams) teams.set(name, team)
        throw error
      }
      const numbered = changes.map(change => ({ seq: ++seq, change }))
      log.push(...numbered)
      log.splice(0, Math.max(0, log.length - kept))
      return numbered
    },
    key: async id => keys.get(id) ?? null,
    async keyByHash(hash) {
      const having = all().filter(key => key.secrets.some(secret => secret.hash === hash))
      return having.find(key => key.revokedAt === null) ?? having[0] ?? null
    },
    keyByAlias: async alias => all().find(key => key.alias === alias && key.revokedAt === null) ?? null,
    keys: async () => all(),
    team: async name => teams.get(name) ?? null,
    teams: async () => allTeams(),
  }
}
