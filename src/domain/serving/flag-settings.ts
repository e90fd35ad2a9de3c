/** Flags as people set them while the service runs: they stand above what the spec says, until they are taken back. */
import type { Instant, Share, TeamName } from '../units.ts'

export type FlagSetting = { name: string; teams: TeamName[]; share: Share; at: Instant }

/** One contract suite runs over every adapter. */
export interface FlagStore {
  settings(): Promise<FlagSetting[]>
  /** In place of an earlier one of that name. */
  set(setting: FlagSetting): Promise<void>
  /** `false`: there was none. */
  reset(name: string): Promise<boolean>
}
