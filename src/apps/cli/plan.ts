/** `holdfast plan` and `holdfast profile import`: what fits where and why, and what engines measured of it. */
import { existsSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { z } from 'zod'
import { openArtifactFolder } from '../../adapters/artifact-folder/index.ts'
import { openLocalPlace } from '../../adapters/model-files/index.ts'
import { formatProblem, readSpecFile } from '../../adapters/spec-file/index.ts'
import type { Profile } from '../../domain/capacity/index.ts'
import type { ArtifactSource, ModelFacts } from '../../domain/catalog/index.ts'
import { withDefaults, type Spec } from '../../domain/spec/index.ts'
import { inspectModel } from '../../services/inspect-model.ts'
import { planSpec, ProfileError, profileOf, type PlanPorts } from '../../services/plan-spec.ts'
import { homeFolder } from '../paths.ts'
import { CliError } from './client.ts'
import { examples } from './output.ts'
import { renderPlan } from './plan/render.ts'

const Profiles = z.strictObject({
  profiles: z.array(
    z.strictObject({
      key: z.strictObject({
        model: z.string(),
        engine: z.string(),
        engineVersion: z.string(),
        flags: z.string(),
        gpus: z.string(),
      }),
      measured: z.strictObject({
        devices: z.array(
          z.strictObject({
            device: z.string(),
            weights: z.number().nullable(),
            kv: z.number().nullable(),
            compute: z.number().nullable(),
          }),
        ),
        kvTokens: z.number().nullable(),
        graphs: z.number().nullable(),
      }),
      source: z.string(),
    }),
  ),
})

/** Beside the spec: it belongs into the same repository. */
const profilesName = 'holdfast.profiles.json'
const builtinWeights = new URL('../../../weights/', import.meta.url)

type PlanFlags = { json?: boolean; explain?: boolean; measured?: string }

export function registerPlanning(program: Command, world: { env: NodeJS.ProcessEnv }): void {
  registerPlan(program, world)
  registerProfile(program, world)
}

function registerPlan(program: Command, { env }: { env: NodeJS.ProcessEnv }): void {
  program
    .command('plan')
    .description(
      'What fits where, why, how fast, and how to load what does not fit. Reads and computes; starts nothing.',
    )
    .argument('[spec]', 'The spec.', 'holdfast.yaml')
    .option('--explain', 'Every number, line by line, with its formula and its source.')
    .option('--measured <file>', `Measured profiles to use (default: ${profilesName} beside the spec, if it is there).`)
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('plan', 'plan --explain', 'plan examples/two-gpu-machine/holdfast.yaml --json'))
    .action(async (path: string, flags: PlanFlags) => {
      const { spec, folder } = await readSpec(path)
      const plan = await planSpec(spec, await openPorts(folder, { env, measured: flags.measured }))
      const text =
        flags.json === true ? JSON.stringify(plan, null, 2) : renderPlan(plan, { explain: flags.explain === true })
      process.stdout.write(`${text}\n`)
      process.exitCode = plan.refusals.length === 0 ? 0 : 1
    })
}

type ImportFlags = { replica: string; spec: string; to?: string; json?: boolean }

function registerProfile(program: Command, { env }: { env: NodeJS.ProcessEnv }): void {
  const profile = program
    .command('profile')
    .description('What engines really took, for the plan to use instead of estimates.')
  profile
    .command('import')
    .description('Keep what an engine logged as it loaded: llama.cpp’s buffer sizes, vLLM’s weights and cache.')
    .argument('<log>', 'The engine’s output, from its start.')
    .requiredOption('--replica <id>', 'Whose log it is, by the spec.')
    .option('--spec <file>', 'The spec.', 'holdfast.yaml')
    .option('--to <file>', `Where profiles are kept (default: ${profilesName} beside the spec).`)
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('profile import coder.log --replica coder-a', 'plan --explain'))
    .action(async (log: string, flags: ImportFlags) => {
      const { spec, folder } = await readSpec(flags.spec)
      const file = flags.to ?? join(folder, profilesName)
      const ports = await openPorts(folder, { env, measured: existsSync(file) ? file : undefined })
      const found = await importProfile(spec, ports, { log, replica: flags.replica })
      const others = ports.profiles.filter(each => JSON.stringify(each.key) !== JSON.stringify(found.key))
      await writeFile(`${file}.new`, `${JSON.stringify({ profiles: [...others, found] }, null, 2)}\n`)
      await rename(`${file}.new`, file)
      const said =
        flags.json === true ? JSON.stringify(found) : `${flags.replica}: kept in ${file}. Next: holdfast plan --explain`
      process.stdout.write(`${said}\n`)
    })
}

async function importProfile(spec: Spec, ports: PlanPorts, from: { log: string; replica: string }): Promise<Profile> {
  try {
    const source = basename(from.log)
    return await profileOf(spec, ports, { replica: from.replica, log: await readText(from.log), source })
  } catch (error) {
    if (error instanceof ProfileError) throw new CliError(error.message, 1)
    throw error
  }
}

async function readSpec(path: string): Promise<{ spec: Spec; folder: string }> {
  const read = await readSpecFile(path)
  if (!read.ok) throw new CliError(read.problems.map(formatProblem).join('\n'), 1)
  // Somebody who writes versions and no models asks about those alone.
  return { spec: read.spec.versions.length === 0 ? withDefaults(read.spec) : read.spec, folder: read.folder }
}

type PortOptions = { env: NodeJS.ProcessEnv; measured: string | undefined }

async function openPorts(folder: string, { env, measured }: PortOptions): Promise<PlanPorts> {
  const store = openArtifactFolder(join(homeFolder(env), 'artifacts'))
  const beside = join(folder, profilesName)
  const file = measured ?? (existsSync(beside) ? beside : null)
  const resolvePath = (path: string): string => resolve(folder, path)
  const pathOf = (source: ArtifactSource): string | null => {
    switch (source.kind) {
      case 'hf':
        return source.file !== null && store.has(source, source.file) ? store.pathOf(source, source.file) : null
      case 'file':
        return existsSync(resolvePath(source.path)) ? resolvePath(source.path) : null
      case 'builtin':
        return fileURLToPath(new URL(`${source.name}/${source.name}.gguf`, builtinWeights))
      default:
        return source satisfies never
    }
  }
  return {
    resolvePath,
    profiles: file === null ? [] : await readProfiles(file),
    memoryHere: totalmem(),
    async readFacts(source): Promise<ModelFacts | null> {
      const path = pathOf(source)
      return path === null ? null : readFacts(path)
    },
  }
}

async function readFacts(path: string): Promise<ModelFacts> {
  const place = await openLocalPlace(path)
  return inspectModel({ place, allowedImports: new Set(), signal: new AbortController().signal })
}

async function readProfiles(file: string): Promise<Profile[]> {
  const text = await readText(file)
  try {
    return Profiles.parse(JSON.parse(text)).profiles
  } catch (error) {
    const problem = error instanceof z.ZodError ? z.prettifyError(error) : String(error)
    throw new CliError(`${file} holds no profiles as 'holdfast profile import' writes them: ${problem}`, 1)
  }
}

const mostBytes = 64 * 1024 ** 2

async function readText(path: string): Promise<string> {
  try {
    const text = await readFile(path, 'utf8')
    return text.slice(0, mostBytes)
  } catch (error) {
    throw new CliError(`${path} can't be read: ${error instanceof Error ? error.message : String(error)}`, 1)
  }
}
