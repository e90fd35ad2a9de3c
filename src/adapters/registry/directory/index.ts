/**
 * A folder as a registry, on a disk of this host or on one that several hosts mount. Objects are written beside their
 * place, made durable, and renamed; an object that may not replace another one is linked to its name instead, which the file
 * system does for one of several writers only. Links are not followed: they may lead out of the folder.
 */
import { createHash, randomUUID } from 'node:crypto'
import { constants, type Dirent, type Stats } from 'node:fs'
import { link, lstat, mkdir, open, readdir, realpath, rename, rm, statfs, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ArtifactError, leftoverName, shown } from '../../../domain/catalog/index.ts'
import type { ListedObject, ObjectPlace, Upload } from '../../../services/registry/index.ts'
import { codeOf, noHardLinks, onDisk } from './refusal.ts'

const pieceBytes = 1024 * 1024
/** Less the process's umask: other users of this host, and of others, may read what is kept. */
const fileMode = 0o644
const folderMode = 0o755

/** Touches nothing before something is written. */
export function openDirectory(root: string): ObjectPlace {
  const told = <T>(work: () => Promise<T>): Promise<T> => onDisk(root, work)

  return {
    name: root,
    head: path =>
      told(async () => {
        const is = await objectAt(root, path)
        return is === null ? null : { bytes: is.size, modifiedAt: is.mtime }
      }),
    read: (path, range, signal) => read(root, { path, ...range }, signal),
    write: (path, upload, signal) =>
      told(async () => {
        await written(root, { path, fill: handle => copy(upload, { handle, root, path, signal }) }, rename)
      }),
    create: (path, content, signal) =>
      told(async () => {
        signal.throwIfAborted()
        try {
          await written(root, { path, fill: handle => handle.writeFile(content) }, linkOnce)
          return 'created'
        } catch (error) {
          if (codeOf(error) !== 'EEXIST') throw error
          // Whoever was first may not have come to this yet.
          await syncFolder(dirname(join(root, path)))
          return 'exists'
        }
      }),
    remove: path =>
      told(async () => {
        if ((await objectAt(root, path)) === null) return
        await rm(join(root, path), { force: true })
        await syncFolder(dirname(join(root, path)))
      }),
    list: (prefix, signal) => list(root, prefix, signal),
    free: () =>
      told(async () => {
        const { bavail, bsize } = await statfs(await nearest(root))
        return bavail * bsize
      }),
    lies: path => join(root, path),
  }
}

type Writing = { path: string; fill: (handle: FileHandle) => Promise<void> }

/** `settle` gives the whole, durable file its name. Nothing is left behind, unless the process is killed. */
async function written(
  root: string,
  { path, fill }: Writing,
  settle: (from: string, to: string) => Promise<void>,
): Promise<void> {
  const target = join(root, path)
  const folder = await folderFor(root, path)
  const beside = join(folder, leftoverName(randomUUID()))
  try {
    const handle = await open(beside, 'wx', fileMode)
    try {
      await fill(handle)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await settle(beside, target)
  } finally {
    await rm(beside, { force: true })
  }
  await syncFolder(folder)
}

async function linkOnce(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    // A file that was just made may always be linked where links can be made at all.
    if (codeOf(error) === 'EPERM') throw noHardLinks(dirname(to))
    throw error
  }
}

type Target = { handle: FileHandle; root: string; path: string; signal: AbortSignal }

async function copy({ bytes, sha256, open: openBytes, onProgress }: Upload, target: Target): Promise<void> {
  const { handle, root, path, signal } = target
  const hash = createHash('sha256')
  let done = 0
  for await (const piece of openBytes({ from: 0, to: bytes })) {
    signal.throwIfAborted()
    hash.update(piece)
    await handle.writeFile(piece)
    done += piece.length
    onProgress(done)
  }
  const hex = hash.digest('hex')
  if (done === bytes && hex === sha256) return
  throw new ArtifactError(
    'later',
    `${shown(path)} was not put into ${root}: ${done} bytes with SHA-256 ${hex} came, and it should be ${bytes} with ${sha256}. ` +
      'Somebody changed the file meanwhile, or its disk is failing: do the same again',
  )
}

async function* read(
  root: string,
  { path, from, to }: { path: string; from: number; to: number },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const told = <T>(work: () => Promise<T>): Promise<T> => onDisk(root, work)
  const handle = await told(() => openObject(root, path))
  if (handle === null) throw new ArtifactError('never', `${root} has no ${shown(path)}`)
  try {
    for (let at = from; at < to;) {
      signal.throwIfAborted()
      const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, to - at))
      const { bytesRead } = await told(() => handle.read(buffer, 0, buffer.length, at))
      if (bytesRead === 0)
        throw new ArtifactError(
          'never',
          `${shown(path)} of ${root} ends at byte ${at}, and bytes up to ${to} were asked for`,
        )
      yield buffer.subarray(0, bytesRead)
      at += bytesRead
    }
  } finally {
    await handle.close()
  }
}

async function* list(root: string, prefix: string, signal: AbortSignal): AsyncGenerator<ListedObject> {
  // Only folders that the prefix reaches into are opened.
  async function* visit(folder: string): AsyncGenerator<ListedObject> {
    const entries = await onDisk(root, () => entriesOf(join(root, folder)))
    for (const entry of entries) {
      signal.throwIfAborted()
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory() && (`${path}/`.startsWith(prefix) || prefix.startsWith(`${path}/`))) yield* visit(path)
      if (!entry.isFile() || !path.startsWith(prefix)) continue
      const is = await onDisk(root, () => objectAt(root, path))
      // Gone since the folder was read.
      if (is !== null) yield { path, bytes: is.size, modifiedAt: is.mtime }
    }
  }
  yield* visit('')
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}

/** A plain file, by itself and not through links; `null`: there is nothing. */
async function objectAt(root: string, path: string): Promise<Stats | null> {
  if (!(await isFolder(root, dirname(checked(path))))) return null
  const is = await lstatOf(join(root, path))
  if (is === null || is.isFile()) return is
  throw new ArtifactError('never', `${shown(path)} of ${root} is no plain file: somebody put it there, remove it`)
}

async function openObject(root: string, path: string): Promise<FileHandle | null> {
  if ((await objectAt(root, path)) === null) return null
  // What was put in its place since then is no plain file: a link is refused, and a pipe does not make us wait.
  return open(join(root, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
}

/** Makes the folders of a path, each by itself: made all at once, a link on the way would be followed. */
async function folderFor(root: string, path: string): Promise<string> {
  const parts = checked(path).split('/').slice(0, -1)
  await mkdir(root, { recursive: true, mode: folderMode })
  let folder = await realpath(root)
  for (const part of parts) {
    const above = folder
    folder = join(above, part)
    try {
      await mkdir(folder, folderMode)
      await syncFolder(above)
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
    refuseLink(root, { path: folder, is: await lstatOf(folder) })
  }
  return folder
}

async function isFolder(root: string, path: string): Promise<boolean> {
  let folder = root
  for (const part of path === '.' ? [] : path.split('/')) {
    folder = join(folder, part)
    const is = await lstatOf(folder)
    if (is === null) return false
    refuseLink(root, { path: folder, is })
  }
  return true
}

function refuseLink(root: string, { path, is }: { path: string; is: Stats | null }): void {
  if (is?.isDirectory() === true) return
  throw new ArtifactError('never', `${shown(path)} is no folder of ${root} itself: a link is not followed, remove it`)
}

const lstatOf = async (path: string): Promise<Stats | null> => {
  try {
    return await lstat(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
}

/** A name is durable when its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The folder itself, or what will hold it. */
async function nearest(folder: string): Promise<string> {
  const above = dirname(folder)
  return (await lstatOf(folder)) === null && above !== folder ? nearest(above) : folder
}

function checked(path: string): string {
  if (path.split('/').some(part => part === '' || part === '.' || part === '..') || /[\0\\]/.test(path))
    throw new ArtifactError('never', `${shown(path)} is no path inside of a registry`)
  return path
}
