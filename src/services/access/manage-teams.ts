/** Teams: those made by hand or script, and those declared in the spec, which only the spec changes. */
import { keyStatus } from '../../domain/access/index.ts'
import type { AccessChange, InForce, Key, Priority, Team } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import { teamName } from '../../domain/units.ts'
import type { Instant, ModelName, TeamName } from '../../domain/units.ts'
import type { AccessParts } from './access-parts.ts'
import { warnOfModels } from './access-parts.ts'
import type { InTurn } from './in-turn.ts'
import { setBounds } from './set-bounds.ts'
import type { BoundChanges } from './set-bounds.ts'

export type NewTeam = BoundChanges & {
  name: string
  models: ModelName[] | null
  /** Left out, or null: normal. */
  priority?: Priority | null | undefined
  metadata: Record<string, unknown>
}
/** What is left out stays as it is, single limits too; null takes a bound away. */
export type TeamChanges = Partial<Pick<NewTeam, 'models' | 'metadata' | 'limits' | 'budget' | 'priority'>>
/** A team as the spec has it. */
export type DeclaredTeam = Omit<Team, 'createdAt' | 'source'>
export type ChangedTeam = { team: Team; inForce: InForce; warnings: string[] }

export interface Teams {
  /** Throws FaultError `request-invalid` (bad name or bound) or `conflict` (name taken). */
  create(ask: NewTeam): Promise<ChangedTeam>
  /** What is left out stays. Throws `not-found`, or `conflict` for a team of the spec. */
  update(name: string, change: TeamChanges): Promise<ChangedTeam>
  /** Throws `not-found`, or `conflict` for a team of the spec or one whose keys still open something. */
  remove(name: string): Promise<{ team: Team; inForce: InForce }>
  get(name: string): Promise<Team>
  list(): Promise<Team[]>
  /**
   * Makes the spec's teams what the spec says, and drops those gone from it. Answers what changed. `onCommitted`: it is in
   * the store, and nobody has heard of it yet.
   */
  declare(declared: readonly DeclaredTeam[], onCommitted?: () => void): Promise<AccessChange[]>
}

const nameForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

export function manageTeams(parts: AccessParts, turn: InTurn): Teams {
  const { store, publisher, now, whereDeclared } = parts

  async function find(name: string): Promise<Team> {
    const team = await store.team(teamName(name))
    if (team === null) throw new FaultError({ kind: 'not-found', what: 'team', name })
    return team
  }

  async function findWritable(name: string): Promise<Team> {
    const team = await find(name)
    if (team.source === 'api') return team
    const where = whereDeclared(team.name)
    const problem = `The team '${name}' is declared in the spec${where === null ? '' : ` (${where})`}. Change it there; here it is read-only.`
    throw new FaultError({ kind: 'conflict', problem })
  }

  function boundsOf(before: Pick<Team, 'limits' | 'budget' | 'priority'>, asked: TeamChanges) {
    const priority = asked.priority === undefined ? before.priority : asked.priority
    return { ...setBounds(parts, before, asked), ...(priority ? { priority } : {}) }
  }

  return {
    async create(ask) {
      if (!nameForm.test(ask.name)) {
        const problem =
          'A team name has 1 to 64 letters, digits, dots, dashes or underscores, and starts with a letter or digit.'
        throw new FaultError({ kind: 'request-invalid', param: 'name', problem })
      }
      const { models, metadata } = ask
      const team: Team = {
        ...{ name: teamName(ask.name), models, ...boundsOf({}, ask), metadata },
        ...{ createdAt: now(), source: 'api' },
      }
      const changes = await turn(async () => {
        if ((await store.team(team.name)) !== null) {
          throw new FaultError({
            kind: 'conflict',
            problem: `There is a team '${team.name}' already. Update it, or take another name.`,
          })
        }
        return store.commit([{ put: 'team', team }])
      })
      return { team, inForce: await publisher.publish(changes), warnings: warnOfModels(parts, team.models) }
    },

    async update(name, change) {
      const { team, changes } = await turn(async () => {
        const before = await findWritable(name)
        const { limits: _limits, budget: _budget, priority: _priority, ...rest } = before
        const { models = before.models, metadata = before.metadata } = change
        const team = { ...rest, models, ...boundsOf(before, change), metadata }
        return { team, changes: await store.commit([{ put: 'team', team }]) }
      })
      return { team, inForce: await publisher.publish(changes), warnings: warnOfModels(parts, change.models ?? null) }
    },

    async remove(name) {
      const { team, changes } = await turn(async () => {
        const team = await findWritable(name)
        const at = now()
        const living = (await store.keys()).filter(key => key.team === team.name && mayOpen(key, at))
        if (living.length > 0) {
          const some = living
            .slice(0, 3)
            .map(key => key.alias ?? key.id)
            .join(', ')
          const problem = `The team '${name}' still has ${living.length} key(s) in use: ${some}${living.length > 3 ? ' …' : ''}. Revoke them first.`
          throw new FaultError({ kind: 'conflict', problem })
        }
        return { team, changes: await store.commit([{ drop: 'team', name: team.name }]) }
      })
      return { team, inForce: await publisher.publish(changes) }
    },

    get: find,
    list: () => store.teams(),

    async declare(declared, onCommitted = () => {}) {
      const { wanted, changes } = await turn(async () => {
        const wanted = changesTo(
          await store.teams(),
          declared.map(team => ({ ...team, createdAt: now(), source: 'spec' })),
        )
        return { wanted, changes: wanted.length === 0 ? [] : await store.commit(wanted) }
      })
      onCommitted()
      if (changes.length > 0) await publisher.publish(changes)
      return wanted
    },
  }
}

/** Opens something, or will once it is unblocked. */
const mayOpen = (key: Key, at: Instant): boolean => ['active', 'blocked'].includes(keyStatus(key, at))

function changesTo(present: readonly Team[], declared: readonly Team[]): AccessChange[] {
  const before = new Map<TeamName, Team>(present.map(team => [team.name, team]))
  const names = new Set(declared.map(team => team.name))
  const puts = declared
    .map(team => ({ ...team, createdAt: before.get(team.name)?.createdAt ?? team.createdAt }))
    .filter(team => !isSame(team, before.get(team.name)))
    .map((team): AccessChange => ({ put: 'team', team }))
  const drops = present
    .filter(team => team.source === 'spec' && !names.has(team.name))
    .map((team): AccessChange => ({ drop: 'team', name: team.name }))
  return [...puts, ...drops]
}

/** Both come from the same schema and the same place in it, so equal text is equal meaning; a false alarm costs one change. */
const isSame = (a: Team, b: Team | undefined): boolean =>
  b !== undefined && a.source === b.source && JSON.stringify(declaredPart(a)) === JSON.stringify(declaredPart(b))

const declaredPart = ({ models, limits, budget, priority, metadata }: Team) => [
  models,
  limits ?? null,
  budget ?? null,
  priority ?? null,
  metadata,
]
