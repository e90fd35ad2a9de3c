/** `holdfast restart` and `holdfast upgrade`: orders to the service that runs from this state folder. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Argument, type Command } from 'commander'
import { giveOrder } from '../../adapters/processes/index.ts'
import { homeFolder, openHome } from '../paths.ts'
import type { Order } from '../up/orders.ts'
import { CliError } from './client.ts'
import { examples, processIo, type CliIo } from './output.ts'

type Json = { json?: boolean }

const ownFolder = fileURLToPath(new URL('../../../', import.meta.url))

export function registerRestart(program: Command, io: CliIo = processIo): void {
  program
    .command('restart')
    .description('Replace one process of the service here by a fresh one. No request is cut.')
    .addArgument(new Argument('[role]', 'Which.').choices(['gateway', 'controller', 'agent']).default('gateway'))
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('restart', 'restart controller'))
    .action((role: 'gateway' | 'controller' | 'agent', options: Json) => order({ do: 'restart', role }, options))

  program
    .command('upgrade')
    .description('Make the service here another release of Holdfast, newer or older. No request is cut.')
    .argument('[folder]', 'The folder of the release (default: the one of this program).')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('upgrade', 'upgrade /opt/holdfast-0.5.0'))
    .action((folder: string | undefined, options: Json) =>
      order({ do: 'upgrade', folder: resolve(folder ?? ownFolder) }, options),
    )

  async function order(asked: Order, { json = false }: Json): Promise<void> {
    const folder = homeFolder(io.env)
    const say = (text: string): void => {
      if (!json) process.stderr.write(`${text}\n`)
    }
    if (!existsSync(folder)) throw nothingRuns(folder)
    const end = await giveOrder(openHome(folder).ordersSocket, asked, say).catch((error: unknown) => {
      throw nothingRuns(folder, error)
    })
    if (!end.ok) throw new CliError(end.text)
    io.out(json ? JSON.stringify(end.result, null, 2) : end.text)
  }
}

function nothingRuns(folder: string, cause?: unknown): CliError {
  const why = cause instanceof Error ? ` (${cause.message})` : ''
  return new CliError(
    `No service takes orders for the state folder ${folder}${why}. Run this where 'holdfast up' runs, as the same user and with the same HOLDFAST_HOME.`,
    1,
    { cause },
  )
}
