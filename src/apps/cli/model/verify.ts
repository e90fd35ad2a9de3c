/** `holdfast model verify`: every byte of a registry, or of this host's own weights, read and hashed again. */
import { readlink } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import type { Command } from 'commander'
import { openDirectory } from '../../../adapters/registry/directory/index.ts'
import { ArtifactError, parseArtifactSource, parseVersionName } from '../../../domain/catalog/index.ts'
import { verifyRegistry, verifyStore, type Verification, type VerifyScope } from '../../../services/registry/index.ts'
import { homeFolder } from '../../paths.ts'
import { size } from '../../../domain/size.ts'
import { CliError } from '../client.ts'
import { examples, type CliIo } from '../output.ts'
import { findArtifact } from './artifact.ts'
import {
  chooseRegistry,
  clock,
  files as countFiles,
  readSurroundings,
  specOption,
  withSignal,
  type Surroundings,
} from './registry.ts'
import { tellTransfer } from './transfer.ts'

type Flags = { registry?: string; spec?: string; json?: boolean }

export function registerVerify(model: Command, io: CliIo): void {
  model
    .command('verify')
    .description(
      'Read every byte again, and tell whether a registry, or this host, still has exactly what was put there.',
    )
    .argument('[what]', 'A version’s name or hf:<owner>/<repository>@<commit>[:<file>] (default: everything).')
    .option('--registry <name>', 'The registry (default: of a version its own; else the weights fetched to this host).')
    .option(...specOption)
    .option('--json', 'As JSON.')
    .addHelpText(
      'after',
      `
Nothing is changed. Told is what is missing, damaged or unreadable, and which versions and sources need it; pushing one of
those again mends it. Exit code 1: something is wrong.
${examples(
  'model verify',
  'model verify --registry main',
  'model verify production-v1.0-qwen3-q4-k-m-p0 --registry main',
  'model verify hf:Qwen/Qwen3-8B@b968826d9c46dd6066d109eabc6255188de91218 --json',
)}`,
    )
    .action(async (what: string | undefined, flags: Flags) => {
      process.exitCode = await withSignal('not everything was read', signal => runVerify(what, flags, { io, signal }))
    })
}

async function runVerify(
  what: string | undefined,
  flags: Flags,
  { io, signal }: { io: CliIo; signal: AbortSignal },
): Promise<0 | 1> {
  const surroundings = await readSurroundings(flags.spec, io.env)
  const scope = scopeOf(what)
  const order = { clock, signal, onProgress: tellTransfer(process.stderr) }
  if (flags.registry === undefined && scope.kind !== 'version') {
    const store = join(homeFolder(io.env), 'artifacts')
    const only = what === undefined ? null : await blobsOf(what, { store, surroundings })
    return say(await verifyStore(openDirectory(store), only, order), { where: store, io, json: flags.json === true })
  }
  const own = surroundings.spec?.versions.find(({ name }) => name === what)?.artifact?.registry
  const { registry, place } = chooseRegistry(flags.registry ?? own, surroundings)
  const found = await verifyRegistry(place, scope, order)
  return say(found, { where: `${registry.name} (${place.name})`, io, json: flags.json === true })
}

function scopeOf(what: string | undefined): VerifyScope {
  if (what === undefined) return { kind: 'all' }
  if (parseVersionName(what).ok) return { kind: 'version', name: what }
  const reading = what.startsWith('hf:') ? parseArtifactSource(what) : null
  if (reading?.ok === true && reading.source.kind === 'hf') return { kind: 'source', source: reading.source }
  const why = reading?.ok === false ? reading.problem : 'expected a version’s name or hf:<owner>/<repository>@<commit>'
  throw new CliError(`${what} can't be verified: ${why}.`, 2)
}

/** The store's own files that a source's links lead to. */
async function blobsOf(
  what: string,
  { store, surroundings }: { store: string; surroundings: Surroundings },
): Promise<Set<string>> {
  const { from, hub, path } = await findArtifact(what, surroundings)
  const folder = hub?.file === null ? path : path.slice(0, -(hub?.file ?? '').length)
  const blobs = new Set<string>()
  for (const file of await from.list()) {
    const link = resolve(folder, file.path)
    const target = await readlink(link).catch(() => null)
    if (target === null) throw new ArtifactError('never', `${link} is no link to a file by its digest: fetch it again`)
    blobs.add(relative(store, resolve(dirname(link), target)))
  }
  return blobs
}

type Saying = { where: string; io: CliIo; json: boolean }

function say(verification: Verification, { where, io, json }: Saying): 0 | 1 {
  const { versions, sources, files, bytes, findings } = verification
  if (json) io.out(JSON.stringify({ where, ...verification }, null, 2))
  else {
    const named = versions + sources === 0 ? '' : ` (versions: ${versions}, mirrored sources: ${sources})`
    const head = `${where}: ${countFiles(files)}, ${size(bytes)} read${named}; ${findings.length === 0 ? 'all as it was put there' : `${findings.length} wrong`}.`
    io.out([head, ...findings.map(sayFinding), ...(findings.length === 0 ? [] : [remedy])].join('\n'))
  }
  return findings.length === 0 ? 0 : 1
}

const sayFinding = ({ path, problem, say: what, neededBy }: Verification['findings'][number]): string =>
  `  ${problem}: ${path}: ${what}${neededBy.length === 0 ? '' : `; needed by ${neededBy.join(', ')}`}`

const remedy =
  'Remove what is damaged, and push or fetch it again from where it is whole: what is whole is not sent again.'
