/** `holdfast version`. */
import type { Command } from 'commander'
import { productVersion } from '../version.ts'
import { examples } from './output.ts'

export function registerVersion(program: Command): void {
  program
    .command('version')
    .description('Print the version.')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('version'))
    .action((options: { json?: boolean }) => {
      process.stdout.write(
        options.json === true
          ? `${JSON.stringify({ version: productVersion(), node: process.version })}\n`
          : `holdfast ${productVersion()} (Node ${process.version})\n`,
      )
    })
}
