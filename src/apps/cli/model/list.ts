/** `holdfast model list`: the versions and sources that registries keep. */
import type { Command } from 'commander'
import { summarise, type RegistrySummary } from '../../../services/registry/index.ts'
import { size } from '../../../domain/size.ts'
import { examples, renderTable, type CliIo } from '../output.ts'
import {
  chooseRegistry,
  clock,
  files as countFiles,
  openOrNull,
  readSurroundings,
  registryOption,
  specOption,
  withSignal,
} from './registry.ts'

type Flags = { registry?: string; spec?: string; json?: boolean }
type Listed = RegistrySummary & { name: string; place: string }

export function registerList(model: Command, io: CliIo): void {
  model
    .command('list')
    .description('List what registries keep: versions, mirrored sources, and what nothing names.')
    .option(...registryOption)
    .option(...specOption)
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('model list', 'model list --registry main', 'model list --json'))
    .action(async (flags: Flags) => {
      await withSignal('nothing was changed', signal => runList(flags, { io, signal }))
    })
}

async function runList(flags: Flags, { io, signal }: { io: CliIo; signal: AbortSignal }): Promise<void> {
  const surroundings = await readSurroundings(flags.spec, io.env)
  const chosen =
    flags.registry === undefined
      ? surroundings.registries.flatMap(registry => {
          const place = openOrNull(registry, io.env)
          return place === null ? [] : [{ registry, place }]
        })
      : [chooseRegistry(flags.registry, surroundings)]
  const registries: Listed[] = []
  for (const { registry, place } of chosen)
    registries.push({ name: registry.name, place: place.name, ...(await summarise(place, { clock, signal })) })
  io.out(flags.json === true ? JSON.stringify({ registries }, null, 2) : registries.map(renderRegistry).join('\n\n'))
}

const shortDigest = 12

function renderRegistry({ name, place, versions, sources, unnamed, unreadable, foreign }: Listed): string {
  const rows = versions.map(({ name: version, digest, bytes, from, publishedAt }) => [
    ...[version, digest.slice(0, shortDigest), size(bytes), publishedAt.slice(0, 10)],
    from,
  ])
  return [
    `${name} (${place})`,
    rows.length === 0
      ? 'No version is published here yet. Publish one: holdfast model push <version>'
      : renderTable(['version', 'digest', 'size', 'published', 'from'], rows),
    ...sources.map(({ source, files, bytes }) => `mirrored: ${source}: ${countFiles(files)}, ${size(bytes)}`),
    ...(unnamed.files === 0
      ? []
      : [
          `unnamed: ${countFiles(unnamed.files)}, ${size(unnamed.bytes)}. What could go: holdfast model prune --registry ${name}`,
        ]),
    ...unreadable.map(({ problem }) => `unreadable: ${problem}`),
    ...(foreign.length === 0 ? [] : [`not ours: ${foreign.slice(0, 3).join(', ')}${foreign.length > 3 ? ', …' : ''}`]),
  ].join('\n')
}
