/** Where a model to look at is: a path, an address, a repository at any revision. */
import { parseArtifactSource } from '../artifact.ts'

export type ModelSource =
  | { kind: 'path'; path: string }
  | { kind: 'url'; url: string }
  /** `revision`: a commit, a branch or a tag. `file` null: whatever the repository has. */
  | { kind: 'hf'; repository: string; revision: string; file: string | null }

export type ModelSourceReading = { ok: true; source: ModelSource } | { ok: false; problem: string }

/** Unlike an artifact's source it need not be pinned: looking is not serving. */
export function parseModelSource(text: string): ModelSourceReading {
  if (/^https?:\/\//i.test(text)) return { ok: true, source: { kind: 'url', url: text } }
  if (text.startsWith('file:'))
    return { ok: true, source: { kind: 'path', path: text.slice('file:'.length).replace(/@sha256:[0-9a-f]{64}$/, '') } }
  if (!text.startsWith('hf:'))
    return text === ''
      ? no('name a file, a folder, hf:<repository> or an address')
      : { ok: true, source: { kind: 'path', path: text } }
  const [, repository = '', revision = 'main', file] = /^hf:([^@:]*)(?:@([^:]*))?(?::(.*))?$/s.exec(text) ?? []
  if (!/^[\w./-]{1,200}$/.test(revision) || revision.includes('..'))
    return no(`'${revision}' is no commit, branch or tag`)
  // The rules of names and paths are those of artifacts.
  const pinned = parseArtifactSource(`hf:${repository}@0000000${file === undefined ? '' : `:${file}`}`)
  if (!pinned.ok) return no(pinned.problem)
  return { ok: true, source: { kind: 'hf', repository, revision, file: file ?? null } }
}

const no = (problem: string): ModelSourceReading => ({ ok: false, problem })
