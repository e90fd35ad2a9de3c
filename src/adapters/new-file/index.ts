/** A new file that appears under its name only when it is whole and on the disk; it replaces nothing. */
import { link, mkdir, open, readdir, rm, stat, statfs } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ArtifactError } from '../../domain/catalog/index.ts'
import type { NewFile } from '../../services/quantise/index.ts'

/**
 * Removes what a process that is gone left unfinished of the same file. Throws ArtifactError where a file is already, or
 * nothing can be written.
 */
export async function openNewFile(path: string): Promise<NewFile> {
  const [folder, name] = [dirname(path), basename(path)]
  const temporary = join(folder, `.${name}.${process.pid}.part`)
  await mkdir(folder, { recursive: true }).catch(refused(folder))
  if (await exists(path)) throw taken(path)
  for (const entry of await readdir(folder).catch(refused(folder))) {
    const pid = pidIn(entry, name)
    if (pid !== null && !isAlive(pid)) await rm(join(folder, entry), { force: true }).catch(refused(folder))
  }
  // Whether one may write there is known before hours of work.
  await (await open(temporary, 'w', 0o644).catch(refused(folder))).close()
  return {
    path,
    temporary,
    async free() {
      const { bavail, bsize } = await statfs(folder).catch(refused(folder))
      return bavail * bsize
    },
    async publish() {
      const file = await open(temporary, 'r+').catch(refused(temporary))
      await file.sync().finally(() => file.close())
      // Unlike a renaming, a link never replaces what has come to be there.
      await link(temporary, path).catch((error: unknown) => {
        throw codeOf(error) === 'EEXIST' ? taken(path, error) : cantWrite(path, error)
      })
      const holder = await open(folder, 'r').catch(refused(folder))
      await holder.sync().finally(() => holder.close())
    },
    discard: () => rm(temporary, { force: true }).catch(refused(folder)),
  }
}

/** Of the process that writes, or wrote, `.<name>.<pid>.part`. */
function pidIn(entry: string, name: string): number | null {
  if (!entry.startsWith(`.${name}.`) || !entry.endsWith('.part')) return null
  const digits = entry.slice(name.length + 2, -'.part'.length)
  return /^\d{1,10}$/.test(digits) ? Number(digits) : null
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) === 'ENOENT') return false
      throw cantWrite(path, error)
    },
  )

const taken = (path: string, cause?: unknown): ArtifactError =>
  new ArtifactError('never', `there is a file ${path} already: remove it, or name another with --out`, { cause })

const cantWrite = (path: string, error: unknown): ArtifactError =>
  new ArtifactError('never', `${path} can’t be written (${codeOf(error)}): mend that, or name another with --out`, {
    cause: error,
  })

const refused =
  (path: string) =>
  (error: unknown): never => {
    throw cantWrite(path, error)
  }

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error)
