/** `holdfast model prune`: removes what nothing in a registry names. */
import type { Command } from 'commander'
import { prune, type Pruned } from '../../../services/registry/index.ts'
import { size } from '../../../domain/size.ts'
import { examples, type CliIo } from '../output.ts'
import {
  chooseRegistry,
  clock,
  files as countFiles,
  newId,
  readSurroundings,
  registryOption,
  specOption,
  withSignal,
  type OpenRegistry,
} from './registry.ts'
import { tellSteps } from '../steps.ts'

type Flags = { registry: string; spec?: string; sources?: boolean; yes?: boolean; json?: boolean }

export function registerPrune(model: Command, io: CliIo): void {
  model
    .command('prune')
    .description('Show what nothing in a registry names, and with --yes remove it.')
    .requiredOption(...registryOption)
    .option('--sources', 'Mirrored sources, too, unless a version was published from them.')
    .option('--yes', 'Remove it.')
    .option(...specOption)
    .option('--json', 'As JSON.')
    .addHelpText(
      'after',
      `
Files of published versions stay, always, and so does what is younger than a day or what a running push counts on. Pushes
wait while a registry is pruned. When a version can't be read, nothing is removed: it might name anything.
${examples('model prune --registry main', 'model prune --registry main --yes', 'model prune --registry main --sources --yes')}`,
    )
    .action(async (flags: Flags) => {
      const stopped = 'what was removed is gone, the rest is there. The same command goes on'
      await withSignal(flags.yes === true ? stopped : 'nothing was removed', async signal => {
        const chosen = chooseRegistry(flags.registry, await readSurroundings(flags.spec, io.env))
        const pruned = await prune(chosen.place, {
          ...{ remove: flags.yes === true, withSources: flags.sources === true, newId, clock, signal },
          onRemoved: tellSteps(process.stderr, 'objects'),
        })
        const { name: registry } = chosen.registry
        io.out(
          flags.json === true
            ? JSON.stringify({ registry, dryRun: flags.yes !== true, ...pruned }, null, 2)
            : renderPruned(pruned, { chosen, flags }),
        )
      })
    })
}

const mostTold = 20

function renderPruned(
  { removed, left, young }: Pruned,
  { chosen: { registry, place }, flags }: { chosen: OpenRegistry; flags: Flags },
): string {
  const bytes = size(removed.reduce((sum, each) => sum + each.bytes, 0))
  const verb = flags.yes === true ? 'removed' : 'could go'
  const again = `holdfast model prune --registry ${registry.name}${flags.sources === true ? ' --sources' : ''} --yes`
  return [
    removed.length === 0
      ? `${registry.name} (${place.name}): nothing to remove.`
      : `${registry.name} (${place.name}): ${countFiles(removed.length)}, ${bytes} ${verb}.`,
    ...removed.slice(0, mostTold).map(({ path, bytes: each, why }) => `  ${reasons[why]}: ${path} (${size(each)})`),
    ...(removed.length > mostTold ? [`  and ${removed.length - mostTold} more (--json lists all)`] : []),
    ...(young.files === 0
      ? []
      : [`Kept, because they are younger than a day: ${countFiles(young.files)}, ${size(young.bytes)}.`]),
    ...(left.length === 0 ? [] : [`Half an hour is over; ${countFiles(left.length)} are left. Next: ${again}`]),
    ...(removed.length > 0 && flags.yes !== true ? [`Nothing was removed yet. Next: ${again}`] : []),
  ].join('\n')
}

const reasons: Readonly<Record<Pruned['removed'][number]['why'], string>> = {
  blob: 'named by nothing',
  source: 'of a source that no version came from',
  push: 'of a push or prune that is over',
  leftover: 'left by a writer that was killed',
}
