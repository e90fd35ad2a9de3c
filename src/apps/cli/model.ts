/** `holdfast model …`: the artifacts that models are made of. */
import type { Command } from 'commander'
import { neededFor, type OnDemand } from './on-demand.ts'
import { processIo, type CliIo } from './output.ts'

const commands: OnDemand<[CliIo]> = [
  [['inspect'], async (model, io) => (await import('./model/inspect.ts')).registerInspect(model, io)],
  [['push'], async (model, io) => (await import('./model/push.ts')).registerPush(model, io)],
  [['list'], async (model, io) => (await import('./model/list.ts')).registerList(model, io)],
  [['verify'], async (model, io) => (await import('./model/verify.ts')).registerVerify(model, io)],
  [['prune'], async (model, io) => (await import('./model/prune.ts')).registerPrune(model, io)],
  [['pull'], async (model, io) => (await import('./model/pull.ts')).registerPull(model, io)],
  [['quantise'], async (model, io) => (await import('./model/quantise.ts')).registerQuantise(model, io)],
  [['compare'], async (model, io) => (await import('./model/compare.ts')).registerCompare(model, io)],
]

/** `words`: what stands behind `model`, when one command is wanted. */
export async function registerModel(
  program: Command,
  { words }: { words: readonly string[] },
  io: CliIo = processIo,
): Promise<void> {
  const model = program.command('model').description('Look at the files that models are made of, and keep them.')
  for (const [, register] of neededFor(commands, words[0])) await register(model, io)
}
