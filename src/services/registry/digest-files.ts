/** What files hold, by digest: read once from the beginning to the end. */
import { createHash } from 'node:crypto'
import { ArtifactError, mostArtifactFiles, shown, type ArtifactFile } from '../../domain/catalog/index.ts'
import type { ArtifactFiles } from './ports.ts'
import type { OnRegistryProgress } from './progress.ts'
import { several } from './several.ts'

/** `gitSha1`: of files so small that Git itself keeps them; the hub names them by it. */
export type DigestedFile = ArtifactFile & { gitSha1: string | null }

const filesAtOnce = 4
const largestInGit = 16 * 1024 * 1024

/** Sorted by path. */
export async function digestFiles(
  from: ArtifactFiles,
  { signal, onProgress }: { signal: AbortSignal; onProgress: OnRegistryProgress },
): Promise<DigestedFile[]> {
  const files = (await from.list()).toSorted((a, b) => (a.path < b.path ? -1 : 1))
  if (files.length === 0) throw new ArtifactError('never', `${shown(from.name)} has no files`)
  if (files.length > mostArtifactFiles)
    throw new ArtifactError(
      'never',
      `${shown(from.name)} has more than ${mostArtifactFiles} files: name the folder of one model`,
    )
  const totalBytes = files.reduce((sum, { bytes }) => sum + bytes, 0)
  let doneBytes = 0
  return several(files, filesAtOnce, async ({ path, bytes }) => {
    const sha256 = createHash('sha256')
    const git = bytes <= largestInGit ? createHash('sha1').update(`blob ${bytes}\0`) : null
    let read = 0
    for await (const piece of from.open(path, { from: 0, to: bytes })) {
      signal.throwIfAborted()
      sha256.update(piece)
      git?.update(piece)
      read += piece.length
      doneBytes += piece.length
      onProgress({ stage: 'reading', doneBytes, totalBytes, why: null })
    }
    if (read !== bytes)
      throw new ArtifactError(
        'later',
        `${shown(path)} of ${shown(from.name)} changed while it was read: do the same again`,
      )
    return { path, bytes, sha256: sha256.digest('hex'), gitSha1: git?.digest('hex') ?? null }
  })
}
