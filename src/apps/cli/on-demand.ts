/** Commands that are loaded when they are asked for: a person waits for every module of a start. */
import type { Command } from 'commander'

/** Commands' names and what defines them; some share a file. In the order of the help. */
export type OnDemand<More extends unknown[]> = readonly (readonly [
  names: readonly string[],
  register: (parent: Command, ...more: More) => Promise<void>,
])[]

/** What is needed to carry out `word`: the command of this name; all, to tell what there is, when there is none. */
export function neededFor<More extends unknown[]>(commands: OnDemand<More>, word: string | undefined): OnDemand<More> {
  const named = commands.filter(([names]) => word !== undefined && names.includes(word))
  return named.length === 0 ? commands : named
}
