/**
 * Artifacts in a folder: `sha256/<hex>` (`git-sha1/<hex>`) are the files, each once; `hf/<repository>@<commit>/<path>`,
 * `versions/<name>/<path>` and `web/<sha256>/<name>` are links to them, so that a start needs no network and a split model's
 * parts stand side by side; `whole/` says which files a repository is made of; `parts/` is what was fetched so far.
 */
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
import { mkdir, readFile, rename, rm, stat, statfs, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { z } from 'zod'
import type { PinnedFile } from '../../domain/catalog/index.ts'
import type { ArtifactStore, NamedSource } from '../../services/artifact-ports.ts'
import { adopt } from './adopt.ts'
import { onDisk } from './disk.ts'
import { bytesIn } from './extents.ts'
import { readJournal } from './journal.ts'
import { tryLock } from './lock.ts'
import { openPart, usualNotes } from './part.ts'

export { openKnownDigests } from './known-digests.ts'
export type { KnownDigests } from './known-digests.ts'

/** As stat counts them. */
const blockBytes = 512

/** Touches nothing until something is fetched. Folders are 0700, files 0600. `notes`: what an end without warning may cost. */
export function openArtifactFolder(root: string, { notes = usualNotes } = {}): ArtifactStore {
  const blobOf = ({ digest }: PinnedFile): string => join(root, digest.algorithm, digest.hex)
  const pathOf: ArtifactStore['pathOf'] = (source, path) => join(root, folderOf(source), path)
  const partOf = ({ digest }: PinnedFile): string => join(root, 'parts', `${digest.algorithm}-${digest.hex}`)

  const wholeOf = (source: NamedSource): string => join(root, 'whole', `${folderOf(source)}.json`)

  /** `null`: another process has it, or has just finished it. */
  function take(file: PinnedFile): (() => void) | null {
    for (const path of [blobOf(file), partOf(file)]) mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const unlock = tryLock(`${partOf(file)}.lock`)
    if (unlock === null || !existsSync(blobOf(file))) return unlock
    unlock()
    return null
  }

  return {
    pathOf,
    // Follows the link: a link whose file was removed is no file.
    has: (source, path) => existsSync(pathOf(source, path)),
    readWhole: (source, path) => onDisk(root, () => readFile(pathOf(source, path))),
    async whole(source) {
      const paths = await readWhole(wholeOf(source))
      return paths?.every(path => existsSync(pathOf(source, path))) === true ? paths : null
    },
    noteWhole: (source, paths) =>
      onDisk(root, () =>
        putInPlace(wholeOf(source), aside => writeFile(aside, JSON.stringify(paths), { mode: 0o600 })),
      ),
    name: (source, file) =>
      onDisk(root, async () => {
        if (!existsSync(blobOf(file))) return false
        const link = pathOf(source, file.path)
        await putInPlace(link, aside => symlink(relative(dirname(link), blobOf(file)), aside))
        return true
      }),
    holds: file => Promise.resolve(existsSync(blobOf(file))),
    free: () =>
      onDisk(root, async () => {
        await mkdir(root, { recursive: true, mode: 0o700 })
        const { bavail, bsize } = await statfs(root)
        return { bytes: bavail * bsize, folder: root }
      }),
    async partBytes(file) {
      const there = bytesIn((await readJournal(partOf(file))).extents)
      const blocks = (await stat(partOf(file)).catch(() => null))?.blocks ?? 0
      return { there, occupied: Math.min(file.bytes, blocks * blockBytes) }
    },
    openPart: (file, signal) =>
      onDisk(root, async () => {
        const unlock = take(file)
        if (unlock === null) return null
        return openPart(file, { path: partOf(file), blob: blobOf(file), root, signal, unlock, notes }).catch(
          (error: unknown) => {
            unlock()
            throw error
          },
        )
      }),
    adopt: (file, from, signal) =>
      onDisk(root, async () => {
        const unlock = take(file)
        if (unlock === null) return false
        const by = `${partOf(file)}.shared`
        return adopt(from, { blob: blobOf(file), by, digest: file.digest, signal }).finally(unlock)
      }),
  }
}

/** Whole or not at all. Two may do it at once, of two processes or of one: each makes its own aside, and the last one stays. */
async function putInPlace(path: string, make: (aside: string) => Promise<void>): Promise<void> {
  const aside = `${path}.new-${randomUUID()}`
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  try {
    await make(aside)
    await rename(aside, path)
  } catch (error) {
    await rm(aside, { force: true })
    throw error
  }
}

async function readWhole(path: string): Promise<string[] | null> {
  try {
    return z.array(z.string()).parse(JSON.parse(await readFile(path, 'utf8')))
  } catch {
    return null
  }
}

/** A repository's name has no `--`, and no file name has a `/`: two sources never share a path. */
function folderOf(source: NamedSource): string {
  switch (source.kind) {
    case 'hf':
      return join('hf', `${source.repository.replace('/', '--')}@${source.commit}`)
    case 'version':
      return join('versions', source.name)
    case 'web':
      return join('web', source.sha256)
    default:
      return source satisfies never
  }
}
