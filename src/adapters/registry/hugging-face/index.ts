/**
 * Hugging Face as a registry, over plain HTTP, with what its own clients go by.
 *
 * - `HEAD /<repository>/resolve/<commit>/<file>` answers 200, or 302 to a storage (CDN). That answer itself, not the
 *   storage's, has `x-repo-commit` (40 hex), `x-linked-size`, and `x-linked-etag`: the file's SHA-256 when it is kept in
 *   LFS or Xet, as all large files are. A small file is served by the hub, its `etag` is git's SHA-1 of the blob.
 *   (huggingface_hub `get_hf_file_metadata`; huggingface_hub `hf_hub_url`: «git-sha1 if stored in git, sha256 if in
 *   git-lfs»)
 * - The storage has ETags of its own. They may look like a SHA-256 and are none; they serve `If-Range` only.
 *   (github.com/huggingface/hf-hub/pull/212, github.com/huggingface/huggingface.js/pull/1024)
 * - Redirects within the hub are followed: renamed repositories, `/api/resolve-cache/…` for small files.
 *   (github.com/huggingface/swift-transformers/pull/209)
 * - Refusals carry `x-error-code`: `RepoNotFound`, `RevisionNotFound`, `EntryNotFound`, `GatedRepo`. A missing
 *   repository is 401 for who has no token. (huggingface_hub `hf_raise_for_status`)
 * - Limits: 429 with `RateLimit: …;t=<seconds>` (huggingface.co/docs/hub/rate-limits).
 * - `/api/models/<repository>/tree/<commit>?recursive=true`, `/revision/<revision>`, `/commits/<branch>`; further pages
 *   in `link`. (huggingface_hub `HfApi`)
 */
import { ArtifactError, type FileDigest, type HubSource, type PinnedFile } from '../../../domain/catalog/index.ts'
import type { Download, DownloadRange, Registry } from '../../../services/artifact-ports.ts'
import { commitOf, filesOf, wholeCommitOf, type HubFile } from './api.ts'
import { refusalOf } from './refusal.ts'
import { askHub, toEndpoint, type HubAnswer, type HubRequest, type HubSettings } from './request.ts'

export { openHubPlace } from './model-place.ts'
export type { HubFile, HubSettings }

export type HuggingFace = Omit<Registry, 'locate' | 'list'> & {
  /** Throws when there is none, and tells which there are. */
  locate(source: HubSource, path: string, signal: AbortSignal): Promise<PinnedFile>
  list(source: HubSource, signal: AbortSignal): Promise<HubFile[]>
  /** The GGUF files of a commit. */
  ggufs(source: Pick<HubSource, 'repository' | 'commit'>, signal: AbortSignal): Promise<HubFile[]>
  /** Where a branch or tag is now. */
  commitOf(repository: string, branch: string, signal: AbortSignal): Promise<string>
}

/** Of how many files it is remembered where the hub redirected to. */
const mostTargets = 16

/** Nothing is asked before a verb is used. */
export function openHuggingFace(settings: HubSettings): HuggingFace {
  /** Where the storage has a file: ranges of it go there, until it refuses. The address is signed, and no secret of ours. */
  const targets = new Map<string, URL>()

  async function list({ repository, commit: written }: Pick<HubSource, 'repository' | 'commit'>, signal: AbortSignal) {
    const commit = await wholeCommitOf(settings, { repository, commit: written }, signal)
    return filesOf(settings, { repository, commit }, signal)
  }

  async function ggufs(source: Pick<HubSource, 'repository' | 'commit'>, signal: AbortSignal): Promise<HubFile[]> {
    return (await list(source, signal)).filter(({ path }) => /\.gguf$/i.test(path))
  }

  return {
    list,
    ggufs,
    commitOf: (repository, branch, signal) => commitOf(settings, { repository, commit: branch }, signal),

    async locate({ repository, commit: written }, path, signal) {
      const commit = await wholeCommitOf(settings, { repository, commit: written }, signal)
      const source = { repository, commit }
      const answer = await askHub(settings, resolvePath(source, path), { method: 'HEAD', follow: false, signal })
      const refusal = refusalOf(answer, { settings, source, path })
      if (refusal === null) return toPinnedFile(answer, { settings, source, path })
      if (answer.ofHub('x-error-code') !== 'EntryNotFound') throw refusal
      const has = await ggufs(source, signal).catch(() => [])
      const names = has.slice(0, 20).map(file => file.path)
      throw new ArtifactError(
        'never',
        names.length === 0 ? refusal.message : `${refusal.message}; it has ${names.join(', ')}`,
      )
    },

    async read(file, range, signal) {
      const ask = (headers: Record<string, string>) => asked(file, { headers, follow: true, signal })
      const { offset, to = file.bytes, etag } = range
      if (offset === 0 && to >= file.bytes) return toDownload(file, await ask({}))
      // A weak one does not say that bytes are the same.
      const ifRange: Record<string, string> = etag?.startsWith('"') === true ? { 'if-range': etag } : {}
      const answer = await ask({ range: `bytes=${offset}-${to < file.bytes ? to - 1 : ''}`, ...ifRange })
      if (answer.response.status === 200) return toDownload(file, answer)
      const part = toPart(file, answer, range)
      if (part !== null) return part
      // Other bytes than those before, or a range that the storage does not have.
      await answer.response.body?.cancel()
      return toDownload(file, await ask({}))
    },
  }

  async function asked(file: PinnedFile, request: HubRequest): Promise<HubAnswer> {
    const key = `${file.commit}/${file.path}`
    const start = targets.get(key) ?? null
    const answer = await askHub(settings, resolvePath(file, file.path), { ...request, start })
    const refusal =
      answer.response.status === 416 ? null : refusalOf(answer, { settings, source: file, path: file.path })
    if (refusal === null) {
      if (!answer.atHub) remember(key, answer.url)
      return answer
    }
    await answer.response.body?.cancel()
    targets.delete(key)
    // Addresses at the storage expire: the hub gives another one.
    if (start !== null && answer.response.status < 500 && answer.response.status !== 429) return asked(file, request)
    throw refusal
  }

  function remember(key: string, url: URL): void {
    targets.delete(key)
    targets.set(key, url)
    const [oldest] = targets.keys()
    if (targets.size > mostTargets && oldest !== undefined) targets.delete(oldest)
  }
}

const resolvePath = ({ repository, commit }: Pick<HubSource, 'repository' | 'commit'>, path: string): string =>
  `/${repository}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`

function toPinnedFile(
  { response, ofHub }: HubAnswer,
  {
    settings,
    source: { repository, commit },
    path,
  }: { settings: HubSettings; source: { repository: string; commit: string }; path: string },
): PinnedFile {
  const is = ofHub('x-repo-commit')
  const digest = digestOf(ofHub('x-linked-etag') ?? (response.ok ? response.headers.get('etag') : null))
  const bytes = Number(ofHub('x-linked-size') ?? (response.ok ? response.headers.get('content-length') : null) ?? NaN)
  const hub = toEndpoint(settings)
  if (is !== null && is !== commit)
    throw new ArtifactError('never', `${hub} was asked for ${repository}@${commit} and has ${is}: nothing was fetched`)
  if (is === null || digest === null || !Number.isSafeInteger(bytes) || bytes < 0)
    throw new ArtifactError(
      'never',
      `${hub} does not tell the commit, length and digest of ${path}, as Hugging Face does: what it has can't be verified`,
    )
  return { repository, commit, path, bytes, digest }
}

function digestOf(etag: string | null): FileDigest | null {
  const [, hex] = /^(?:W\/)?"?([0-9a-f]+)"?$/.exec(etag ?? '') ?? []
  if (hex?.length === 64) return { algorithm: 'sha256', hex }
  return hex?.length === 40 ? { algorithm: 'git-sha1', hex } : null
}

/** What was asked for, of the same bytes; `null`: it is something else. */
function toPart(file: PinnedFile, { response, bytes }: HubAnswer, { offset, etag }: DownloadRange): Download | null {
  const { status, headers } = response
  const [, from, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get('content-range') ?? '') ?? []
  const goesOn = status === 206 && Number(from) === offset && (total === '*' || Number(total) === file.bytes)
  const is = headers.get('etag')
  if (!goesOn || (etag !== null && is !== etag)) return null
  return { offset, to: Number(last) + 1, etag: is, bytes: bytes() }
}

/** From the beginning. */
async function toDownload(file: PinnedFile, { response, bytes }: HubAnswer): Promise<Download> {
  const length = response.headers.get('content-length')
  if (response.status === 200 && (length === null || Number(length) === file.bytes))
    return { offset: 0, etag: response.headers.get('etag'), bytes: bytes() }
  await response.body?.cancel()
  const { host } = new URL(response.url)
  throw new ArtifactError(
    'soon',
    response.status === 200
      ? `${file.path}: ${host} has ${length} bytes, and the hub said ${file.bytes}`
      : `${file.path}: ${host} answers ${response.status}`,
  )
}
