/** `holdfast model …`: the artifacts that models are made of. */
import type { Command } from 'commander'
import { registerCompare } from './model/compare.ts'
import { registerInspect } from './model/inspect.ts'
import { registerList } from './model/list.ts'
import { registerPrune } from './model/prune.ts'
import { registerPush } from './model/push.ts'
import { registerPull } from './model/pull.ts'
import { registerQuantise } from './model/quantise.ts'
import { registerVerify } from './model/verify.ts'
import { processIo, type CliIo } from './output.ts'

export function registerModel(program: Command, io: CliIo = processIo): void {
  const model = program.command('model').description('Look at the files that models are made of, and keep them.')
  registerInspect(model, io)
  registerPush(model, io)
  registerList(model, io)
  registerVerify(model, io)
  registerPrune(model, io)
  registerPull(model, io)
  registerQuantise(model, io)
  registerCompare(model, io)
}
