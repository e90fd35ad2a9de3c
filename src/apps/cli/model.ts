/** `holdfast model …`: the artifacts that models are made of. */
import type { Command } from 'commander'
import { registerCompare } from './model/compare.ts'
import { registerInspect } from './model/inspect.ts'
import { registerQuantise } from './model/quantise.ts'
import { processIo, type CliIo } from './output.ts'

export function registerModel(program: Command, io: CliIo = processIo): void {
  const model = program.command('model').description('Look at the files that models are made of.')
  registerInspect(model, io)
  registerQuantise(model, io)
  registerCompare(model, io)
}
