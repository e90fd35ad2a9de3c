/**
 * Artifacts in a folder: `sha256/<hex>` (`git-sha1/<hex>`) are the files, each once; `hf/<repository>@<commit>/<path>` are
 * links to them, so that a start needs no network and a split model's parts stand side by side; `parts/` is what was
 * fetched so far.
 */
import { createHash, type Hash } from 'node:crypto'
import { constants, existsSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm, stat, statfs, symlink, writeFile, type FileHandle } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { ArtifactError, type PinnedFile } from '../../domain/catalog/index.ts'
import type { ArtifactPart, ArtifactStore } from '../../services/artifact-ports.ts'

const magicBytes = 4
const readBytes = 1024 * 1024

/** Touches nothing until something is fetched. Folders are 0700, files 0600. */
export function openArtifactFolder(root: string): ArtifactStore {
  const blobOf = ({ digest }: PinnedFile): string => join(root, digest.algorithm, digest.hex)
  // A repository's name has no `--`, and no file name has a `/`: two sources never share a path.
  const pathOf: ArtifactStore['pathOf'] = ({ repository, commit }, path) =>
    join(root, 'hf', `${repository.replace('/', '--')}@${commit}`, path)
  const partOf = ({ digest }: PinnedFile): string => join(root, 'parts', `${digest.algorithm}-${digest.hex}`)

  return {
    pathOf,
    // Follows the link: a link whose file was removed is no file.
    has: (source, path) => existsSync(pathOf(source, path)),
    name: (source, file) =>
      onDisk(root, async () => {
        if (!existsSync(blobOf(file))) return false
        const link = pathOf(source, file.path)
        await mkdir(dirname(link), { recursive: true, mode: 0o700 })
        await rm(`${link}.new`, { force: true })
        await symlink(relative(dirname(link), blobOf(file)), `${link}.new`)
        await rename(`${link}.new`, link)
        return true
      }),
    free: () =>
      onDisk(root, async () => {
        await mkdir(root, { recursive: true, mode: 0o700 })
        const { bavail, bsize } = await statfs(root)
        return { bytes: bavail * bsize, folder: root }
      }),
    partBytes: async file => (await stat(partOf(file)).catch(() => null))?.size ?? 0,
    openPart: (file, signal) =>
      onDisk(root, async () => {
        for (const path of [blobOf(file), partOf(file)]) await mkdir(dirname(path), { recursive: true, mode: 0o700 })
        return openPart(file, { path: partOf(file), blob: blobOf(file), root, signal })
      }),
  }
}

type Place = { path: string; blob: string; root: string; signal: AbortSignal }

async function openPart(file: PinnedFile, { path, blob, root, signal }: Place): Promise<ArtifactPart> {
  // Not for appending: an agent that is just ending may still write the same bytes to the same place.
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  let bytes = 0
  let magic = ''
  let hash = openHash(file)
  let etag = await readEtag(path)

  function note(chunk: Uint8Array): void {
    bytes += chunk.length
    if (magic.length < magicBytes) magic += Buffer.from(chunk.subarray(0, magicBytes - magic.length)).toString('latin1')
    hash.update(chunk)
  }

  async function restart(newEtag: string | null): Promise<void> {
    await handle.truncate(0)
    bytes = 0
    magic = ''
    hash = openHash(file)
    etag = newEtag
    await writeFile(`${path}.etag`, newEtag ?? '', { mode: 0o600 })
  }

  try {
    await readAll(handle, note, signal)
    if (bytes > file.bytes) await restart(null)
  } catch (error) {
    await handle.close()
    throw error
  }

  return {
    get bytes() {
      return bytes
    },
    get etag() {
      return etag
    },
    get magic() {
      return magic
    },
    restart: newEtag => onDisk(root, () => restart(newEtag)),
    append: chunk =>
      onDisk(root, async () => {
        for (let at = 0; at < chunk.length;) {
          const { bytesWritten } = await handle.write(chunk, at, chunk.length - at, bytes + at)
          at += bytesWritten
        }
        note(chunk)
      }),
    finish: () =>
      onDisk(root, async () => {
        const hex = hash.digest('hex')
        await handle.sync()
        await handle.close()
        await rm(`${path}.etag`, { force: true })
        if (hex !== file.digest.hex) {
          await rm(path, { force: true })
          return { ok: false, hex }
        }
        await rename(path, blob)
        return { ok: true }
      }),
    close: () => handle.close(),
  }
}

/** Git hashes a file with its length in front. */
function openHash({ digest, bytes }: PinnedFile): Hash {
  return digest.algorithm === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${bytes}\0`)
}

async function readAll(handle: FileHandle, note: (chunk: Uint8Array) => void, signal: AbortSignal): Promise<void> {
  const buffer = new Uint8Array(readBytes)
  for (let at = 0; ;) {
    signal.throwIfAborted()
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at)
    if (bytesRead === 0) return
    note(buffer.subarray(0, bytesRead))
    at += bytesRead
  }
}

const readEtag = async (path: string): Promise<string | null> =>
  (await readFile(`${path}.etag`, 'utf8').catch(() => '')) || null

/** What the disk refuses is told with its folder. */
async function onDisk<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') throw error
    const full = error.code === 'ENOSPC' || error.code === 'EDQUOT'
    throw new ArtifactError(
      'later',
      full
        ? `the disk of ${root} is full: free some space there, or set HOLDFAST_HOME to a folder on a larger disk`
        : `${root} can't be written (${error.message}): mend that, or set HOLDFAST_HOME to another folder`,
      { cause: error },
    )
  }
}
