/** `holdfast audit verify`: whether the journal is as it was written. */
import type { Command } from 'commander'
import { CliError, openClient } from './client.ts'
import { examples, processIo, type CliIo } from './output.ts'

type Verification = {
  intact: boolean
  epochs: number
  lines: number
  blocks: number
  broken: { epoch: string; segment: number | null; line: number | null; what: string; detail: string }[]
}

export function registerAudit(program: Command, io: CliIo = processIo): void {
  const audit = program.command('audit').description('Prove what happened.')
  audit
    .command('verify')
    .description('Recompute the journal’s chains and compare them with the anchors the controller keeps.')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('audit verify', 'audit verify --json'))
    .action(async (options: { json?: boolean }) => {
      const found = (await openClient({ env: io.env }).request('GET', '/api/v1/audit/verify')) as Verification
      if (options.json === true) io.out(JSON.stringify(found))
      else if (found.intact)
        io.out(
          `The journal is intact: ${found.lines} lines, ${found.epochs} ${found.epochs === 1 ? 'epoch' : 'epochs'}.`,
        )
      if (found.intact) return
      const places = found.broken.map(
        ({ epoch, segment, line, what, detail }) =>
          `  ${epoch}${segment === null ? '' : `, segment ${segment}`}${line === null ? '' : `, line ${line}`}: ${what}. ${detail}`,
      )
      throw new CliError(
        options.json === true
          ? 'The journal was changed.'
          : `The journal was changed:\n${places.join('\n')}\nRestore it from a backup, or find out who wrote to the journal folder.`,
        1,
      )
    })
}
