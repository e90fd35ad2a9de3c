/** Switches the spec's flags while the service runs. */
import { FaultError } from '../domain/fault.ts'
import type { FlagSetting, FlagStore } from '../domain/serving/index.ts'
import { share, teamName, type Instant } from '../domain/units.ts'

/** A flag of the spec, and how it is now. */
export type Flag = { name: string; teams: string[]; share: number; answers: { model: string; by: string } | null }
export type SetFlag = { teams?: readonly string[]; share?: number }

export type FlagState = Flag & {
  /** What the spec says, where somebody set it otherwise; `null`: it is as the spec says. */
  spec: Pick<Flag, 'teams' | 'share'> | null
  setAt: Instant | null
}

export type FlagParts = {
  store: FlagStore
  /** Those of the spec, and its teams. */
  spec: () => { flags: readonly Flag[]; teams: readonly string[] }
  /** Puts the flags in force as they now are. */
  serve: () => Promise<void>
  now: () => Instant
}

export type Flags = Awaited<ReturnType<typeof openFlags>>

export async function openFlags({ store, spec, serve, now }: FlagParts) {
  const settings = new Map((await store.settings()).map(setting => [setting.name, setting]))

  function find(name: string): Flag {
    const flag = spec().flags.find(each => each.name === name)
    if (flag === undefined) throw new FaultError({ kind: 'not-found', what: 'flag', name })
    return flag
  }

  function stateOf(flag: Flag): FlagState {
    const set = settings.get(flag.name)
    if (set === undefined) return { ...flag, spec: null, setAt: null }
    const { teams, share: part } = flag
    return { ...flag, teams: set.teams, share: set.share, spec: { teams, share: part }, setAt: set.at }
  }

  return {
    list: (): FlagState[] => spec().flags.map(stateOf),
    /** What is left out stays as it is. Throws FaultError: unknown flag or team. */
    async set(name: string, { teams, share: part }: SetFlag): Promise<FlagState> {
      const flag = find(name)
      const before = stateOf(flag)
      for (const team of teams ?? [])
        if (!spec().teams.includes(team)) throw new FaultError({ kind: 'not-found', what: 'team', name: team })
      const setting: FlagSetting = {
        name,
        teams: (teams ?? before.teams).map(teamName),
        share: share(part ?? before.share),
        at: now(),
      }
      await store.set(setting)
      settings.set(name, setting)
      await serve()
      return stateOf(flag)
    },
    async reset(name: string): Promise<FlagState> {
      const flag = find(name)
      await store.reset(name)
      settings.delete(name)
      await serve()
      return stateOf(flag)
    },
    settings: (): ReadonlyMap<string, FlagSetting> => settings,
  }
}
