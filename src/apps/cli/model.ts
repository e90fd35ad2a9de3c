/** `holdfast model …`: the artifacts that models are made of. */
import type { Command } from 'commander'
import { registerInspect } from './model/inspect.ts'
import { processIo, type CliIo } from './output.ts'

export function registerModel(program: Command, io: CliIo = processIo): void {
  const model = program.command('model').description('Look at the files that models are made of.')
  registerInspect(model, io)
}
