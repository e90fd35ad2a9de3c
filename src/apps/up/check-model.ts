/** `--model`: checked before anything is started, so that a name that can't work is told at once, with those that can. */
import { ArtifactError, ggufFiles, parseArtifactSource, type HubSource } from '../../domain/catalog/index.ts'
import type { HuggingFace } from '../../adapters/registry/hugging-face/index.ts'
import type { ArtifactStore } from '../../services/artifact-ports.ts'
import { CliError } from '../cli/client.ts'
import { size } from '../../domain/size.ts'

export type ModelParts = { hub: HuggingFace; store: Pick<ArtifactStore, 'has'>; signal: AbortSignal }

const mostListed = 20
/** Advice that takes longer is no help. */
const adviceMs = 10_000

/** Throws CliError when `text` names no model that can be fetched. A hub that is not reached now may be later: the agent goes on trying. */
export async function checkModel(text: string, { hub, store, signal }: ModelParts): Promise<void> {
  if (!text.startsWith('hf:'))
    throw new CliError(
      `--model: expected hf:<owner>/<repository>@<commit>:<file>.gguf, not '${text}'. For a file on this machine: --gguf`,
      2,
    )
  const reading = parseArtifactSource(text)
  if (!reading.ok) throw new CliError(`--model: ${reading.problem}${await adviseName(text, { hub, signal })}`, 2)
  const { source } = reading
  // It began with hf:.
  if (source.kind !== 'hf') return
  const gguf = ggufFiles(source)
  if (!gguf.ok) throw new CliError(`--model: ${gguf.problem}${await advise(source, { hub, signal })}`, 2)
  if (gguf.files.every(file => store.has(source, file))) return
  try {
    await hub.locate(source, gguf.files[0], signal)
  } catch (error) {
    if (error instanceof ArtifactError && error.retry === 'never') throw new CliError(`--model: ${error.message}`, 1)
    if (!(error instanceof ArtifactError) && !signal.aborted) throw error
  }
}

/** Without a commit: what its branch, or `main`, is now. */
async function adviseName(text: string, parts: Pick<ModelParts, 'hub' | 'signal'>): Promise<string> {
  const [, repository = '', branch, file = null] = /^hf:([^@:]+)(?:@([^:]*))?(?::(.+))?$/.exec(text) ?? []
  const pinned = parseArtifactSource(`hf:${repository}@${'0'.repeat(40)}${file === null ? '' : `:${file}`}`)
  if (!pinned.ok || pinned.source.kind !== 'hf') return ''
  return quietly(async () => {
    const commit = await parts.hub.commitOf(repository, branch || 'main', withLimit(parts.signal))
    return `\n\n${branch || 'main'} of ${repository} is now ${commit}:${await list({ repository, commit, file }, parts)}`
  })
}

async function advise(source: HubSource, parts: Pick<ModelParts, 'hub' | 'signal'>): Promise<string> {
  return quietly(async () => `\n\n${source.repository} has:${await list({ ...source, file: null }, parts)}`)
}

async function list(
  { repository, commit, file }: Pick<HubSource, 'repository' | 'commit' | 'file'>,
  { hub, signal }: Pick<ModelParts, 'hub' | 'signal'>,
): Promise<string> {
  const all = await hub.ggufs({ repository, commit }, withLimit(signal))
  // Of a split model the first part is named.
  const named = all.filter(
    ({ path }) => (file === null || path === file) && !/-(?!00001)\d{5}-of-\d{5}\.gguf$/i.test(path),
  )
  if (named.length === 0) return ' no such GGUF file, and the embedded engine runs no others.'
  const lines = named
    .slice(0, mostListed)
    .map(({ path, bytes }) => `\n  --model hf:${repository}@${commit}:${path}  (${size(bytes)})`)
  return `${lines.join('')}${named.length > mostListed ? `\n  and ${named.length - mostListed} more` : ''}`
}

const withLimit = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(adviceMs)])

/** The refusal stands without it. */
async function quietly(advice: () => Promise<string>): Promise<string> {
  try {
    return await advice()
  } catch {
    return ''
  }
}
