/** A model on this machine's disk: one file, or a folder. Nothing is written, and nothing but plain files is opened. */
import type { Dirent } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ArtifactError, shown, type ListedFile } from '../../domain/catalog/index.ts'
import type { ModelFile, ModelPlace } from '../../services/inspect-ports.ts'

/** Exports put their weights one folder deeper (`onnx/`, `variables/`). */
const deepest = 2
const mostFiles = 10_000

/** Throws ArtifactError when there is nothing. */
export async function openLocalPlace(path: string): Promise<ModelPlace> {
  const is = await statOf(path)
  if (is === null) throw new ArtifactError('never', notThere(path))
  const folder = is.isDirectory() ? path : dirname(path)
  return {
    name: path,
    file: is.isDirectory() ? null : basename(path),
    list: () => listFiles(folder),
    open: file => openFile(join(folder, file)),
  }
}

async function listFiles(root: string): Promise<ListedFile[]> {
  const files: ListedFile[] = []
  async function visit(folder: string, depth: number): Promise<void> {
    const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(denied(join(root, folder)))
    for (const entry of entries.toSorted(byName)) {
      if (files.length >= mostFiles) return
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      // Follows links: a hub's cache is made of them.
      const is = await statOf(join(root, path))
      if (is?.isFile() === true) files.push({ path, bytes: is.size })
      if (is?.isDirectory() === true && depth < deepest && !entry.name.startsWith('.')) await visit(path, depth + 1)
    }
  }
  await visit('', 1)
  return files
}

async function openFile(path: string): Promise<ModelFile | null> {
  const is = await statOf(path)
  if (is === null) return null
  // A pipe or a device would never end.
  if (!is.isFile()) throw new ArtifactError('never', `${shown(path)} is no plain file: name one that is`)
  const handle = await open(path, 'r').catch(denied(path))
  return {
    bytes: is.size,
    async read(at, bytes) {
      const buffer = new Uint8Array(Math.min(bytes, Math.max(0, is.size - at)))
      let filled = 0
      while (filled < buffer.length) {
        const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, at + filled).catch(denied(path))
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return buffer.subarray(0, filled)
    },
    close: () => handle.close(),
  }
}

const byName = (a: Dirent, b: Dirent): number => (a.name < b.name ? -1 : 1)

const statOf = (path: string) =>
  stat(path).catch((error: unknown) =>
    codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR' ? null : denied(path)(error),
  )

function denied(path: string): (error: unknown) => never {
  return error => {
    throw new ArtifactError('never', `${shown(path)} can't be read (${codeOf(error)}): mend that, or name another`, {
      cause: error,
    })
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error)

const notThere = (path: string): string =>
  /^[\w.-]+\/[\w.-]+$/.test(path)
    ? `there is no file or folder ${path} here: for the repository of that name on Hugging Face write hf:${path}`
    : `there is no file or folder ${shown(path)}`
