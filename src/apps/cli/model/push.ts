/** `holdfast model push`: artifacts into a registry, and versions under their names for ever. */
import { createHash } from 'node:crypto'
import type { Command } from 'commander'
import { openLocalPlace } from '../../../adapters/model-files/index.ts'
import { ArtifactError, artifactListing } from '../../../domain/catalog/index.ts'
import type { SpecVersion } from '../../../domain/spec/index.ts'
import { inspectModel } from '../../../services/inspect-model.ts'
import {
  digestFiles,
  nameMirrored,
  publishVersion,
  pushFiles,
  whyNotLoadable,
  type Published,
} from '../../../services/registry/index.ts'
import { size } from '../../../domain/size.ts'
import { CliError } from '../client.ts'
import { examples, type CliIo } from '../output.ts'
import { findArtifact, inFull, templateDigest, versionNamed, type LocalArtifact } from './artifact.ts'
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
  type Surroundings,
} from './registry.ts'
import { tellTransfer } from './transfer.ts'

type Flags = { registry?: string; spec?: string; json?: boolean }

export function registerPush(model: Command, io: CliIo): void {
  model
    .command('push')
    .description(
      'Bring weights into a registry; a version of the spec is published, and its name keeps its meaning for ever.',
    )
    .argument(
      '<what>',
      'A version’s name, hf:<owner>/<repository>@<commit>[:<file>] that was fetched here, a file or a folder.',
    )
    .option(...registryOption)
    .option(...specOption)
    .option('--json', 'As JSON.')
    .addHelpText(
      'after',
      `
What the registry has already is not sent again. Stopped or killed, a push has published nothing, and the same push goes on.
Files of no version and no hub are kept for a day, for a version to name them. A folder is pushed with all that is in it,
LoRA adapters too; hidden files are left out.
Exit code 1: it can't be done, the engine would not load it, or the name means something else already.
${examples(
  'model push production-v1.0-qwen3-q4-k-m-p0',
  'model push production-v1.0-qwen3-q4-k-m-p0 --registry main --json',
  'model push hf:Qwen/Qwen3-8B@b968826d9c46dd6066d109eabc6255188de91218 --registry main',
  'model push ./models/qwen3-8b --registry main',
)}`,
    )
    .action(async (what: string, flags: Flags) => {
      process.exitCode = await withSignal('nothing was published. The same push goes on where this one was', signal =>
        runPush(what, flags, { io, signal }),
      )
    })
}

type Running = { io: CliIo; signal: AbortSignal }

async function runPush(what: string, flags: Flags, running: Running): Promise<0 | 1> {
  const { io } = running
  const surroundings = await readSurroundings(flags.spec, io.env)
  const version = versionNamed(what, surroundings)
  if (version !== null && version.artifact === undefined)
    throw new CliError(`${what} has no artifact: somebody else runs its engine, and there is nothing to keep.`, 2)
  const target = chooseRegistry(flags.registry ?? version?.artifact?.registry, surroundings)
  const artifact = await findArtifact(version?.artifact?.from ?? what, surroundings)
  const job: Job = { ...running, target, artifact, surroundings, json: flags.json === true }
  return version === null ? pushArtifact(job) : publish(version, job)
}

type Job = Running & { target: OpenRegistry; artifact: LocalArtifact; surroundings: Surroundings; json: boolean }

async function publish(version: SpecVersion, job: Job): Promise<0 | 1> {
  const { io, signal, target, artifact, surroundings } = job
  await checkLoadable(version, job)
  const onProgress = tellTransfer(process.stderr)
  const digested = await digestFiles(artifact.from, { signal, onProgress })
  checkPinned(version, { artifact, files: digested })
  const published = await publishVersion(target.place, {
    ...{ version, files: digested, from: artifact.from, newId, clock, signal, onProgress },
    spec: specOf(surroundings),
    chatTemplate: await templateDigest(version, surroundings),
    mirror: await mirrorOf(job, digested),
  })
  if (job.json) io.out(JSON.stringify({ registry: target.registry.name, ...published }, null, 2))
  else if (published.outcome !== 'taken') io.out(sayPublished(published, target))
  if (published.outcome !== 'taken') return 0
  if (!job.json)
    throw new CliError(
      `${version.name} was published in ${target.registry.name} before, and a version's name keeps its meaning. ` +
        `Different: ${published.differences.join('; ')}. Give this one a new name (free: ${published.free}).`,
      1,
    )
  return 1
}

/** Other hosts find a hub's files by their commit; without the hub's word for it, they take the version. */
async function mirrorOf({ artifact, io, signal }: Job, [first]: readonly { path: string }[]) {
  if (artifact.hub === null || first === undefined) return null
  try {
    return await inFull(artifact.hub, first.path, { env: io.env, signal })
  } catch (error) {
    if (!(error instanceof ArtifactError)) throw error
    process.stderr.write(`Not kept under its commit, of which only the beginning is known here: ${error.message}.\n`)
    return null
  }
}

function specOf({ spec }: Surroundings) {
  if (spec === null) throw new Error('a version was found without a spec')
  return spec
}

async function checkLoadable(version: SpecVersion, { artifact, signal }: Job): Promise<void> {
  const inspection = await inspectModel({
    place: await openLocalPlace(artifact.path),
    allowedImports: new Set(),
    signal,
  })
  const problems = whyNotLoadable(version, inspection)
  if (problems.length > 0)
    throw new CliError(
      `${version.name} is not published: ${problems.join('; ')}. Look at it: holdfast model inspect ${artifact.path}`,
      1,
    )
}

/** A spec may pin its file: then other bytes are another version. */
function checkPinned(
  { name }: SpecVersion,
  { artifact: { sha256, from }, files: all }: { artifact: LocalArtifact; files: readonly { sha256: string }[] },
): void {
  const [file, ...others] = all
  if (sha256 === null || (file?.sha256 === sha256 && others.length === 0)) return
  throw new CliError(
    `${name} is not published: the spec says SHA-256 ${sha256}, and ${from.name} ${others.length > 0 ? `has ${all.length} files` : `has ${file?.sha256}`}. Name the right file, or correct the digest.`,
    1,
  )
}

type Done = Exclude<Published, { outcome: 'taken' }>

function sayPublished({ outcome, version, sent, kept }: Done, { registry, place }: OpenRegistry): string {
  const bytes = version.artifact.files.reduce((sum, file) => sum + file.bytes, 0)
  const first =
    outcome === 'published'
      ? `${version.name} is published in ${registry.name} (${place.name})`
      : `${version.name} was published in ${registry.name} (${place.name}) before, and is the same`
  return [
    `${first}: ${countFiles(version.artifact.files.length)}, ${size(bytes)}; ${saySent({ sent, kept })}.`,
    `version   sha256:${version.digest}`,
    `artifact  sha256:${version.artifact.digest}`,
    `Next: holdfast model verify ${version.name} --registry ${registry.name}`,
  ].join('\n')
}

async function pushArtifact(job: Job): Promise<0> {
  const { io, signal, target, artifact } = job
  const onProgress = tellTransfer(process.stderr)
  const digested = await digestFiles(artifact.from, { signal, onProgress })
  const source =
    artifact.hub === null ? null : await inFull(artifact.hub, digested[0]?.path ?? '', { env: io.env, signal })
  const { sent, kept } = await pushFiles(target.place, {
    ...{ from: artifact.from, files: digested, newId, clock, signal, onProgress },
    settle: async place => {
      if (source !== null) await nameMirrored(place, { source, files: digested }, signal)
    },
  })
  const digest = createHash('sha256').update(artifactListing(digested)).digest('hex')
  const files = digested.map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 }))
  const { name } = target.registry
  const commit = source === null ? null : `hf:${source.repository}@${source.commit}`
  if (job.json)
    io.out(JSON.stringify({ registry: name, source: commit, artifact: { digest, files }, sent, kept }, null, 2))
  else
    io.out(
      [
        `${artifact.from.name} is in ${name} (${target.place.name}): ${countFiles(files.length)}; ${saySent({ sent, kept })}.`,
        `artifact  sha256:${digest}`,
        commit === null
          ? `No version names it yet: within a day, push one that does, or it may be pruned.`
          : `Next: holdfast model verify ${commit} --registry ${name}`,
      ].join('\n'),
    )
  return 0
}

const saySent = ({ sent, kept }: Pick<Done, 'sent' | 'kept'>): string =>
  `${sent.files} sent (${size(sent.bytes)}), ${kept.files} there before`
