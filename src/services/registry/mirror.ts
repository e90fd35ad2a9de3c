/** A hub's repository at one commit, kept in a registry: which blob each of its files is. */
import { ArtifactError, shown, sourcePath, type HubSource, type MirroredFile } from '../../domain/catalog/index.ts'
import type { DigestedFile } from './digest-files.ts'
import { readMirrored } from './documents.ts'
import type { ObjectPlace } from './ports.ts'
import { several } from './several.ts'

export type Mirror = { source: Pick<HubSource, 'repository' | 'commit'>; files: readonly DigestedFile[] }

const writesAtOnce = 4

/** `commit` is whole. Throws when the registry already has another file under one of these names: a commit never changes. */
export async function nameMirrored(place: ObjectPlace, { source, files }: Mirror, signal: AbortSignal): Promise<void> {
  await several(files, writesAtOnce, async ({ path, bytes, sha256, gitSha1 }) => {
    const at = sourcePath(source, path)
    const is: MirroredFile = { schema: 1, bytes, sha256, ...(gitSha1 === null ? {} : { gitSha1 }) }
    const content = new TextEncoder().encode(JSON.stringify(is))
    if ((await place.create(at, content, signal)) === 'created') return
    const before = await readMirrored(place, at, signal)
    if (before === null || before.sha256 === sha256) return
    throw new ArtifactError(
      'never',
      `${shown(path)} of ${source.repository}@${source.commit.slice(0, 8)} is another file here (SHA-256 ${sha256}) than in ${place.name} ` +
        `(${before.sha256}), and a commit never changes: one of the two is damaged. Look with 'holdfast model verify'`,
    )
  })
}
