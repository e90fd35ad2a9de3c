/** `holdfast model inspect`: what a model's files say of it. */
import type { Command } from 'commander'
import { openLocalPlace, openWebPlace } from '../../../adapters/model-files/index.ts'
import { openHubPlace } from '../../../adapters/registry/hugging-face/index.ts'
import { ArtifactError, parseModelSource } from '../../../domain/catalog/index.ts'
import { inspectModel } from '../../../services/inspect-model.ts'
import type { ModelPlace } from '../../../services/inspect-ports.ts'
import { readHubSettings } from '../../hub.ts'
import { CliError } from '../client.ts'
import { examples, type CliIo } from '../output.ts'
import { renderInspection } from './card.ts'

type InspectFlags = { allowPickle: string[]; json?: boolean }

export function registerInspect(model: Command, io: CliIo): void {
  model
    .command('inspect')
    .description(
      'Read a model’s headers, here or over the network, and tell what it is, what it needs and which engines take it.',
    )
    .argument('<model>', 'A file or folder, hf:<owner>/<repository>[@<revision>][:<file>], or the address of a file.')
    .option(
      '--allow-pickle <name>',
      'Trust this import of a PyTorch file (module.name), as the report spells it. May be repeated.',
      (name: string, names: string[]) => [...names, name],
      [],
    )
    .option('--json', 'As JSON.')
    .addHelpText(
      'after',
      `
Nothing is loaded or run, and of remote files only their headers are fetched. Known are GGUF, safetensors, PyTorch
(pickles: what they would run is listed), ONNX, TensorFlow and TensorRT; split and sharded models by any of their files.
Exit code 1: it can't be read, or loading it would run code that was not allowed.
${examples(
  'model inspect ./qwen2.5-coder-7b-instruct-q4_k_m.gguf',
  'model inspect hf:Qwen/Qwen3-8B',
  'model inspect hf:owner/repository@4f1c2d9e:model-Q4_K_M.gguf --json',
  'model inspect https://example.org/models/model.safetensors',
  'model inspect ./pytorch_model.bin --allow-pickle argparse.Namespace',
)}`,
    )
    .action(async (text: string, flags: InspectFlags) => {
      process.exitCode = await runInspect(text, flags, io)
    })
}

async function runInspect(text: string, { allowPickle, json = false }: InspectFlags, io: CliIo): Promise<0 | 1> {
  const { signal } = new AbortController()
  try {
    const place = await openPlace(text, { env: io.env, signal })
    const inspection = await inspectModel({ place, allowedImports: new Set(allowPickle), signal })
    const refused = inspection.pickle?.imports.filter(({ verdict }) => verdict === 'refused') ?? []
    io.out(json ? JSON.stringify(inspection, null, 2) : renderInspection(inspection))
    return refused.length === 0 ? 0 : 1
  } catch (error) {
    if (error instanceof ArtifactError) throw new CliError(error.message, 1, { cause: error })
    throw error
  }
}

async function openPlace(
  text: string,
  { env, signal }: { env: NodeJS.ProcessEnv; signal: AbortSignal },
): Promise<ModelPlace> {
  const reading = parseModelSource(text)
  if (!reading.ok) throw new CliError(`${reading.problem}.`, 2)
  const { source } = reading
  switch (source.kind) {
    case 'path':
      return openLocalPlace(source.path)
    case 'url':
      return openWebPlace(source.url, { signal })
    case 'hf':
      return openHubPlace(readHubSettings(env), source, signal)
    default:
      return source satisfies never
  }
}
