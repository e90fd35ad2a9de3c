/** A repository as a place to look at a model: its list of files, and ranges of them. Nothing is kept. */
import { ArtifactError, type ListedFile } from '../../../domain/catalog/index.ts'
import type { ModelFile, ModelPlace } from '../../../services/inspect-ports.ts'
import { commitOf, filesOf } from './api.ts'
import { refusalOf } from './refusal.ts'
import { askHub, type HubSettings } from './request.ts'

export type HubPlace = { repository: string; revision: string; file: string | null }

/** Finds the commit that the revision is now, so that all files are of one. Throws ArtifactError. */
export async function openHubPlace(
  settings: HubSettings,
  { repository, revision, file }: HubPlace,
  signal: AbortSignal,
): Promise<ModelPlace> {
  const commit = await commitOf(settings, { repository, commit: revision }, signal)
  const source = { repository, commit }
  const files = await filesOf(settings, source, signal)
  const sizes = new Map(files.map(({ path, bytes }) => [path, bytes]))

  async function read(path: string, { at, bytes }: { at: number; bytes: number }): Promise<Uint8Array> {
    const address = `/${repository}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`
    const headers = { range: `bytes=${at}-${at + bytes - 1}` }
    const answer = await askHub(settings, address, { headers, follow: true, signal })
    const refusal = refusalOf(answer, { settings, source, path })
    if (refusal !== null) {
      await answer.response.body?.cancel()
      throw refusal
    }
    // A storage without ranges sends all of it: what is before is passed over, what is behind is not waited for.
    const [, from = '0'] = /^bytes (\d+)-/.exec(answer.response.headers.get('content-range') ?? '') ?? []
    return gather(answer.bytes(), { skip: at - Number(from), bytes, path })
  }

  return {
    name: `hf:${repository}@${commit}${file === null ? '' : `:${file}`}`,
    file,
    list: (): Promise<ListedFile[]> => Promise.resolve(files),
    open(path): Promise<ModelFile | null> {
      const size = sizes.get(path)
      if (size === undefined) return Promise.resolve(null)
      return Promise.resolve({
        bytes: size,
        async read(at, bytes) {
          const most = Math.min(bytes, size - at)
          return most <= 0 ? new Uint8Array(0) : read(path, { at, bytes: most })
        },
        close: () => Promise.resolve(),
      })
    },
  }
}

/** Passed over before an answer is given up. */
const mostSkipped = 256 * 1024 * 1024

async function gather(
  pieces: AsyncIterable<Uint8Array>,
  { skip, bytes, path }: { skip: number; bytes: number; path: string },
): Promise<Uint8Array> {
  if (skip < 0 || skip > mostSkipped)
    throw new ArtifactError(
      'never',
      `${path}: the storage does not send the range that it was asked for: fetch the file first`,
    )
  const gathered = new Uint8Array(bytes)
  let passed = 0
  let filled = 0
  for await (const piece of pieces) {
    const part = piece.subarray(Math.min(piece.length, Math.max(0, skip - passed))).subarray(0, bytes - filled)
    passed += piece.length
    gathered.set(part, filled)
    filled += part.length
    if (filled === bytes) break
  }
  return gathered.subarray(0, filled)
}
