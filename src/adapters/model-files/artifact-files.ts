/** The files of an artifact on this machine's disk: one with its parts, all of a folder, or those that are named. */
import type { Dirent } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ArtifactError, ggufParts, mostArtifactFiles, shown, type ListedFile } from '../../domain/catalog/index.ts'
import type { ArtifactFiles } from '../../services/registry/index.ts'

const pieceBytes = 1024 * 1024
/** Adapters and exports stand in folders of folders; deeper than this a link leads in a circle. */
const deepest = 8

/** Of a folder everything that is not hidden; links are followed, since hubs' caches are made of them. Throws ArtifactError. */
export async function openArtifactFiles(path: string, only: readonly string[] | null = null): Promise<ArtifactFiles> {
  const is = await sizeOf(path)
  if (is === null) throw new ArtifactError('never', `there is no file or folder ${shown(path)}`)
  const root = is === 'folder' ? path : dirname(path)
  const named = only ?? (is === 'folder' ? null : ggufParts(basename(path)))
  return {
    name: path,
    list: () => (named === null ? allOf(root) : Promise.all(named.map(file => listed(root, file)))),
    open: (file, range) => read(join(root, file), range),
  }
}

async function listed(root: string, file: string): Promise<ListedFile> {
  const is = await sizeOf(join(root, file))
  if (typeof is === 'number') return { path: file, bytes: is }
  throw new ArtifactError(
    'never',
    `${shown(join(root, file))} ${is === null ? 'is not there' : 'is no plain file'}, and the model needs it`,
  )
}

async function allOf(root: string): Promise<ListedFile[]> {
  const files: ListedFile[] = []
  async function visit(folder: string, depth: number): Promise<void> {
    if (depth > deepest)
      throw new ArtifactError('never', `${shown(join(root, folder))} is deeper than ${deepest} folders: name a model`)
    const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(denied(join(root, folder)))
    for (const entry of entries.filter(isShown)) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      const is = await sizeOf(join(root, path))
      if (is === 'folder') await visit(path, depth + 1)
      if (typeof is === 'number') files.push({ path, bytes: is })
      if (files.length > mostArtifactFiles)
        throw new ArtifactError(
          'never',
          `${shown(root)} has more than ${mostArtifactFiles} files: name the folder of one model`,
        )
    }
  }
  await visit('', 1)
  return files
}

const isShown = ({ name }: Dirent): boolean => !name.startsWith('.')

async function* read(path: string, { from, to }: { from: number; to: number }): AsyncGenerator<Uint8Array> {
  const handle = await open(path, 'r').catch(denied(path))
  try {
    for (let at = from; at < to;) {
      const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, to - at))
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at).catch(denied(path))
      if (bytesRead === 0) return
      yield buffer.subarray(0, bytesRead)
      at += bytesRead
    }
  } finally {
    await handle.close()
  }
}

/** `other`: a pipe or a device, which would never end. */
async function sizeOf(path: string): Promise<number | 'folder' | 'other' | null> {
  try {
    const is = await stat(path)
    if (is.isDirectory()) return 'folder'
    return is.isFile() ? is.size : 'other'
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    return denied(path)(error)
  }
}

function denied(path: string): (error: unknown) => never {
  return error => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new ArtifactError('never', `${shown(path)} can't be read (${code}): mend that, or name another`, {
      cause: error,
    })
  }
}
