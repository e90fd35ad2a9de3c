/** Digests of files that lie elsewhere, remembered as long as the file stays as it is: reading 40 GB takes a minute. */
import { createHash } from 'node:crypto'
import { mkdir, open, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { ArtifactError } from '../../domain/catalog/index.ts'

export type KnownDigests = {
  /** SHA-256 of a file. Throws ArtifactError when it can't be read. */
  digestOf(path: string, by: { signal: AbortSignal; onProgress: (done: Progress) => void }): Promise<string>
}

type Progress = { doneBytes: number; totalBytes: number }

const Known = z.record(z.string(), z.object({ as: z.string(), sha256: z.string() }))
const readBytes = 4 * 1024 * 1024
/** A change so soon after another may not show in the file's times. */
const settledMs = 2_000

/** `path`: the list, in a folder that is made when it is missing. */
export function openKnownDigests(path: string): KnownDigests {
  async function read(): Promise<z.output<typeof Known>> {
    try {
      return Known.parse(JSON.parse(await readFile(path, 'utf8')))
    } catch {
      return {}
    }
  }

  async function remember(file: string, entry: { as: string; sha256: string }): Promise<void> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeFile(`${path}.new`, JSON.stringify({ ...(await read()), [file]: entry }), { mode: 0o600 })
    await rename(`${path}.new`, path)
  }

  return {
    async digestOf(file, { signal, onProgress }) {
      const before = await look(file)
      const known = (await read())[file]
      if (known?.as === before.as) return known.sha256
      const sha256 = await compute(file, { signal, onProgress })
      const after = await look(file)
      if (after.as !== before.as)
        throw new ArtifactError('soon', `${file} was changed while it was read: wait until it is written`)
      // What is not remembered is read again.
      if (Date.now() - after.changedMs > settledMs) await remember(file, { as: after.as, sha256 }).catch(() => {})
      return sha256
    },
  }
}

async function look(file: string): Promise<{ as: string; changedMs: number }> {
  const { dev, ino, size, mtimeNs, ctimeNs, ctimeMs } = await stat(file, { bigint: true }).catch(unreadable(file))
  return { as: [dev, ino, size, mtimeNs, ctimeNs].join(' '), changedMs: Number(ctimeMs) }
}

async function compute(
  file: string,
  { signal, onProgress }: { signal: AbortSignal; onProgress: (done: Progress) => void },
): Promise<string> {
  const hash = createHash('sha256')
  const handle = await open(file, 'r').catch(unreadable(file))
  try {
    const totalBytes = (await handle.stat()).size
    const buffer = new Uint8Array(readBytes)
    for (let doneBytes = 0; ;) {
      signal.throwIfAborted()
      const { bytesRead } = await handle.read(buffer, 0, readBytes, doneBytes).catch(unreadable(file))
      if (bytesRead === 0) return hash.digest('hex')
      hash.update(buffer.subarray(0, bytesRead))
      doneBytes += bytesRead
      onProgress({ doneBytes, totalBytes })
    }
  } finally {
    await handle.close()
  }
}

const unreadable =
  (file: string) =>
  (error: unknown): never => {
    const why = error instanceof Error ? error.message : String(error)
    throw new ArtifactError('later', `${file} can't be read (${why})`, { cause: error })
  }
