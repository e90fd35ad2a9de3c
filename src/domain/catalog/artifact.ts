/** Where a version's weights come from: a pinned commit, a file, or the weights that Holdfast brings. */

export type ArtifactSource =
  /** `file` null: the whole repository. */
  | { kind: 'hf'; repository: string; commit: string; file: string | null }
  /** `sha256`: 64 hex digits, or null when the spec trusts the path alone. */
  | { kind: 'file'; path: string; sha256: string | null }
  | { kind: 'builtin'; name: 'smoke' }

export type HubSource = Extract<ArtifactSource, { kind: 'hf' }>

export type ArtifactReading = { ok: true; source: ArtifactSource } | { ok: false; problem: string }

const forms = 'hf:<owner>/<repository>@<commit>[:<file>], file:<path>[@sha256:<hex>] or builtin:smoke'

/** Reads `artifact.from`. */
export function parseArtifactSource(text: string): ArtifactReading {
  if (text.startsWith('hf:')) return parseHuggingFace(text.slice('hf:'.length))
  if (text.startsWith('file:')) return parseFile(text.slice('file:'.length))
  if (text === 'builtin:smoke') return { ok: true, source: { kind: 'builtin', name: 'smoke' } }
  if (text.startsWith('builtin:')) return refuse('the only weights that Holdfast brings are builtin:smoke')
  return refuse(`expected ${forms}`)
}

/** More than any model has; each is a request to the hub. */
const mostParts = 256

/**
 * The files that a GGUF engine needs, the one that it is given first. llama.cpp's split models are named
 * `…-00001-of-00003.gguf`, and it finds the others beside the first.
 */
export function ggufFiles(
  source: HubSource,
): { ok: true; files: [string, ...string[]] } | { ok: false; problem: string } {
  const { repository, commit, file } = source
  const no = (problem: string) => ({ ok: false as const, problem })
  if (file === null) return no(`name one GGUF file of it: hf:${repository}@${commit}:<file>.gguf`)
  if (!/\.gguf$/i.test(file)) return no(`${file} is no GGUF file, and the embedded engine runs no others`)
  const [, stem = '', number = '', of = ''] = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i.exec(file) ?? []
  if (number === '') return { ok: true, files: [file] }
  if (Number(number) !== 1) return no(`name the first part, ${stem}-00001-of-${of}.gguf: the others are found by it`)
  if (Number(of) < 1 || Number(of) > mostParts) return no(`${file} has ${Number(of)} parts; at most ${mostParts} work`)
  const rest = Array.from(
    { length: Number(of) - 1 },
    (_, i) => `${stem}-${String(i + 2).padStart(5, '0')}-of-${of}.gguf`,
  )
  return { ok: true, files: [file, ...rest] }
}

/** The hub's rule; it also keeps names apart from `..` where they become folders. */
const repositoryName = /^(?!.*(--|\.\.))([A-Za-z0-9_]([\w.-]*\w)?\/)?[A-Za-z0-9_]([\w.-]*\w)?$/

export const isRepository = (name: string): boolean => repositoryName.test(name)

function parseHuggingFace(rest: string): ArtifactReading {
  const [, repository = '', pin, file] = /^([^@]*)(?:@([^:]*))?(?::(.*))?$/s.exec(rest) ?? []
  if (!isRepository(repository))
    return refuse('expected a repository after hf:, such as hf:openai/gpt-oss-20b@<commit>')
  if (pin === undefined)
    return refuse(
      `pin a commit: hf:${repository}@<commit> (7 to 40 hex digits), so that the name always means the same weights`,
    )
  if (!/^[0-9a-f]{7,40}$/.test(pin)) {
    return refuse(
      `pin a commit of 7 to 40 lower-case hex digits after '@'; '${pin}' is a branch or tag, and those move`,
    )
  }
  if (file !== undefined && !isInside(file)) return refuse('expected a file inside the repository after the commit')
  return { ok: true, source: { kind: 'hf', repository, commit: pin, file: file ?? null } }
}

function parseFile(rest: string): ArtifactReading {
  const mark = rest.lastIndexOf('@sha256:')
  const path = mark < 0 ? rest : rest.slice(0, mark)
  if (path === '') return refuse('expected a path after file:')
  if (mark < 0) return { ok: true, source: { kind: 'file', path, sha256: null } }
  const sha256 = rest.slice(mark + '@sha256:'.length)
  if (!/^[0-9a-f]{64}$/.test(sha256)) return refuse('expected 64 lower-case hex digits after @sha256:')
  return { ok: true, source: { kind: 'file', path, sha256 } }
}

/** A path that leads nowhere else, and shows as it is. */
export const isInside = (file: string): boolean =>
  !/[\p{C}\\]/u.test(file) && file.split('/').every(part => part !== '' && part !== '.' && part !== '..')

const refuse = (problem: string): ArtifactReading => ({ ok: false, problem })
