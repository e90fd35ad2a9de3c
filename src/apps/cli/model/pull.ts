/** `holdfast model pull`: brings a model's files to this host, whole and verified, and goes on after every end. */
import { dirname, resolve } from 'node:path'
import type { Command } from 'commander'
import { openArtifactFolder } from '../../../adapters/artifact-folder/index.ts'
import { ArtifactError } from '../../../domain/catalog/index.ts'
import type { SpecRegistry } from '../../../domain/spec/index.ts'
import { openFetcher } from '../../../services/fetch/index.ts'
import { homeFolder, openHome } from '../../paths.ts'
import { size } from '../../../domain/size.ts'
import { CliError } from '../client.ts'
import { examples, type CliIo } from '../output.ts'
import { stopOnSignals } from '../stop-on-signals.ts'
import { wholeNumber } from '../whole-number.ts'
import { toPullOrder } from './pull-order.ts'
import { openPullProgress } from './pull-progress.ts'
import type { PullOrder } from './pull-world.ts'
import { readSurroundings, specOption } from './registry.ts'

type PullFlags = { spec?: string; registry?: string; connections: number; json?: boolean }

export function registerPull(model: Command, io: CliIo): void {
  model
    .command('pull')
    .description('Bring a model’s files to this host, whole and verified, so that a start needs no network.')
    .argument('<model>', 'A version, hf:<owner>/<repository>@<commit>[:<file>], or https://…@sha256:<digest>.')
    .option('--registry <name>', 'The registry of the spec to look in first.')
    .option(...specOption)
    .option('--connections <n>', 'Connections at once, over all files.', wholeNumber(1, 32), 6)
    .option('--json', 'As JSON.')
    .addHelpText(
      'after',
      `
Of a whole repository the weights are fetched once, in the format that engines are given, with all small files; what is
left out is told. Ctrl-C keeps what came, and the same command goes on. HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE count.
Exit code 1: it can't be had now, or its bytes are not the right ones.
${examples(
  'model pull production-v1.0-qwen3-8b-q4-k-m-p0',
  'model pull hf:owner/repository@4f1c2d9e:model-Q4_K_M.gguf',
  'model pull hf:owner/repository@4f1c2d9e --connections 12',
  'model pull hf:owner/repository@4f1c2d9e --registry mirror --json',
)}`,
    )
    .action(async (what: string, flags: PullFlags) => {
      await runPull(what, flags, io)
    })
}

async function runPull(what: string, flags: PullFlags, { env, out }: CliIo): Promise<void> {
  const { spec, folder, path, registries } = await readSurroundings(flags.spec, env)
  const home = openHome(homeFolder(env))
  const named = namedIn(registries, flags.registry, path)
  const store = openArtifactFolder(home.artifacts)
  const signal = stopOnSignals()
  const progress = openPullProgress(what, { moving: process.stderr.isTTY && flags.json !== true })
  try {
    const order = await toPullOrder(what, {
      ...{ store, spec, folder, registries, named, env, signal, onProgress: progress.tell },
      fetchArtifact: openFetcher({ store, connections: flags.connections }),
      tell: line => process.stderr.write(`holdfast: ${line}\n`),
    })
    const missing = order.files.filter(file => !store.has(order.source, file))
    await order.fetch({ signal, onProgress: progress.tell })
    if (order.isWhole) await store.noteWhole(order.source, order.files)
    await progress.close()
    const at = new Map(order.files.map(file => [file, store.pathOf(order.source, file)]))
    const fetched = { what, order, missing, at, specPath: path }
    out(flags.json === true ? toJson(fetched) : toText(fetched))
  } catch (error) {
    await progress.close()
    throw toCliError(error, { signal, kept: progress.keptBytes() })
  }
}

type Fetched = {
  what: string
  order: PullOrder
  missing: readonly string[]
  at: ReadonlyMap<string, string>
  specPath: string | null
}

function toJson({ what, order, missing, at }: Fetched): string {
  return JSON.stringify(
    {
      ...{ model: what, from: order.from, alreadyHere: missing.length === 0 },
      files: order.files.map(path => ({ path, at: at.get(path) ?? '', fetched: missing.includes(path) })),
      leftOut: order.leftOut,
    },
    null,
    2,
  )
}

function toText(fetched: Fetched): string {
  const { order, missing, at } = fetched
  const count = `${order.files.length} file${order.files.length === 1 ? '' : 's'}`
  const [first = ''] = order.files
  const place = order.files.length === 1 ? (at.get(first) ?? '') : folderOf(at)
  const left = order.leftOut.map(({ path, bytes }) => `  ${path}  (${size(bytes)})`)
  return [
    missing.length === 0
      ? `Already here, verified when it came: ${count}.`
      : `Here, whole and verified: ${count}, from ${order.from}.`,
    `  ${place}`,
    ...(left.length === 0 ? [] : ['Left out, the same weights once more or in other formats:', ...left]),
    `Next: ${nextStep(fetched)}`,
  ].join('\n')
}

function nextStep({ what, order, at, specPath }: Fetched): string {
  const gguf = order.files.find(file => /\.gguf$/i.test(file))
  const [first = ''] = order.files
  switch (order.source.kind) {
    case 'version':
      return `holdfast up${specPath === null ? ' <spec>' : ` ${specPath}`}`
    case 'web':
      return gguf === undefined ? `holdfast model inspect ${at.get(first)}` : `holdfast up --gguf ${at.get(gguf)}`
    case 'hf':
      if (order.source.file !== null && gguf !== undefined && what.startsWith('hf:'))
        return `holdfast up --model ${what}`
      return `holdfast model inspect ${order.files.length === 1 ? at.get(first) : folderOf(at)}`
    default:
      return order.source satisfies never
  }
}

/** All of them are below it. */
function folderOf(at: ReadonlyMap<string, string>): string {
  const shortest = [...at].toSorted(([a], [b]) => a.split('/').length - b.split('/').length)[0]
  if (shortest === undefined) return ''
  const [path, place] = shortest
  return resolve(
    dirname(place),
    ...path
      .split('/')
      .slice(1)
      .map(() => '..'),
  )
}

/** Stopping keeps what came, and so does every end but wrong bytes. */
function toCliError(error: unknown, { signal, kept }: { signal: AbortSignal; kept: string | null }): unknown {
  const goOn = kept === null ? '' : ` ${kept} are kept: the same command goes on from there.`
  if (signal.aborted) return new CliError(`Stopped.${goOn}`, 1, { cause: error })
  if (!(error instanceof ArtifactError)) return error
  return new CliError(`${error.message}.${error.retry === 'never' ? '' : goOn}`, 1, { cause: error })
}

function namedIn(
  registries: readonly SpecRegistry[],
  name: string | undefined,
  path: string | null,
): SpecRegistry | null {
  if (name === undefined) return null
  const found = registries.find(each => each.name === name)
  if (found !== undefined) return found
  const names = registries.map(each => each.name).join(', ')
  throw new CliError(
    `No registry is named '${name}' in ${path ?? 'a spec (none is here: --spec <file>)'}; there is ${names}.`,
    2,
  )
}
