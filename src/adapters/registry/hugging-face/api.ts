/** The hub's JSON API: which commit an abbreviation means, which files a repository has. */
import { z } from 'zod'
import { ArtifactError, type HubSource } from '../../../domain/catalog/index.ts'
import { refusalOf } from './refusal.ts'
import { askHub, type HubSettings } from './request.ts'

export type HubFile = { path: string; bytes: number }

type Repository = Pick<HubSource, 'repository' | 'commit'>

const Revision = z.object({ sha: z.string() })
const Commits = z.array(z.object({ id: z.string() }))
const Tree = z.array(z.object({ type: z.string(), path: z.string(), size: z.number() }))

const wholeCommit = /^[0-9a-f]{40}$/
/** 50 commits or 1000 files a page. */
const mostPages = 40

/** All 40 digits. What a branch happens to be called does not count. */
export async function wholeCommitOf(settings: HubSettings, source: Repository, signal: AbortSignal): Promise<string> {
  const { commit } = source
  if (wholeCommit.test(commit)) return commit
  const found = await commitOf(settings, source, signal).catch((error: unknown) => {
    if (error instanceof ArtifactError && error.retry === 'never') return null
    throw error
  })
  if (found?.startsWith(commit) === true) return found
  return findCommit(settings, source, signal)
}

/** Of a branch, a tag, or a commit as the hub takes it. */
export async function commitOf(settings: HubSettings, source: Repository, signal: AbortSignal): Promise<string> {
  const path = `/api/models/${source.repository}/revision/${encodeURIComponent(source.commit)}`
  for await (const page of pages(path, Revision, { settings, source, signal })) return page.sha
  throw new ArtifactError('never', `${source.repository} tells no commit for ${source.commit}`)
}

/** Every file, in folders too. */
export async function filesOf(settings: HubSettings, source: Repository, signal: AbortSignal): Promise<HubFile[]> {
  const path = `/api/models/${source.repository}/tree/${source.commit}?recursive=true`
  const files: HubFile[] = []
  for await (const page of pages(path, Tree, { settings, source, signal }))
    files.push(...page.flatMap(({ type, path: name, size }) => (type === 'file' ? [{ path: name, bytes: size }] : [])))
  // Names are shown on terminals, which obey control characters.
  return files.filter(({ path: name }) => !/\p{C}/u.test(name))
}

async function findCommit(settings: HubSettings, source: Repository, signal: AbortSignal): Promise<string> {
  const { repository, commit } = source
  const asked = { settings, source: { repository, commit: 'main' }, signal }
  const found = new Set<string>()
  for await (const page of pages(`/api/models/${repository}/commits/main`, Commits, asked))
    for (const { id } of page) if (id.startsWith(commit) && wholeCommit.test(id)) found.add(id)
  const [only] = found
  if (only !== undefined && found.size === 1) return only
  throw new ArtifactError(
    'never',
    found.size > 1
      ? `${repository} has ${found.size} commits that start with ${commit}: write all 40 digits`
      : `${repository} has no commit ${commit} on its main branch: write all 40 digits of another branch's`,
  )
}

/** Pages of a list; the answer says where the next one is. */
async function* pages<T>(
  first: string,
  schema: z.ZodType<T>,
  { settings, source, signal }: { settings: HubSettings; source: Repository; signal: AbortSignal },
): AsyncGenerator<T> {
  let path: string | null = first
  for (let page = 0; path !== null && page < mostPages; page++) {
    const answer = await askHub(settings, path, { follow: false, signal })
    const refusal = refusalOf(answer, { settings, source, path: null })
    if (refusal !== null) {
      await answer.response.body?.cancel()
      throw refusal
    }
    const pieces: Uint8Array[] = []
    for await (const piece of answer.bytes()) pieces.push(piece)
    const reading = schema.safeParse(parseJson(Buffer.concat(pieces).toString('utf8')))
    if (!reading.success)
      throw new ArtifactError('never', `${new URL(answer.response.url).host} does not answer as the hub's API does`)
    yield reading.data
    // The path alone: a mirror may hand out addresses of the hub that it mirrors.
    const [, next] = /<([^>]*)>\s*;\s*rel="?next/.exec(answer.ofHub('link') ?? '') ?? []
    path = next !== undefined && URL.canParse(next) ? new URL(next).pathname + new URL(next).search : null
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
