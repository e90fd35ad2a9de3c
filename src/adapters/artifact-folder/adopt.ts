/** A file of this host, taken in without copying its bytes: a clone that shares its blocks, else a second name of it. */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, copyFile, link, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { FileDigest } from '../../domain/catalog/index.ts'
import { syncFolder } from './journal.ts'

const readBytes = 1024 * 1024

/** `false`: it is to be copied. Verified before it gets its name. */
export async function adopt(
  from: string,
  { blob, by, digest, signal }: { blob: string; by: string; digest: FileDigest; signal: AbortSignal },
): Promise<boolean> {
  if (digest.algorithm !== 'sha256') return false
  await rm(by, { force: true })
  try {
    if (!(await share(from, by)) || (await sha256Of(by, signal)) !== digest.hex) return false
    await rename(by, blob)
    await syncFolder(dirname(blob))
    return true
  } finally {
    await rm(by, { force: true })
  }
}

async function share(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE)
    await chmod(to, 0o600)
    return true
  } catch {
    await rm(to, { force: true })
  }
  try {
    const { uid, mode } = await stat(from)
    // Whoever else may write it could change what was verified.
    if (uid !== process.getuid?.() || (mode & 0o022) !== 0) return false
    await link(from, to)
    return true
  } catch {
    return false
  }
}

async function sha256Of(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  const file = await open(path, 'r')
  try {
    for await (const piece of file.createReadStream({ highWaterMark: readBytes, signal })) hash.update(piece)
    return hash.digest('hex')
  } finally {
    await file.close()
  }
}
