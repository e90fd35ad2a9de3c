/**
 * A file that comes in pieces, in any order: its bytes at their places in a sparse file, and a journal of those that are
 * on the disk. Its digest is computed as far as the file is there without a hole, from memory where bytes come in order
 * and else from the file, so that the end needs no second reading.
 */
import { createHash, type Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { PinnedFile } from '../../domain/catalog/index.ts'
import type { ArtifactPart, Extent } from '../../services/artifact-ports.ts'
import { onDisk } from './disk.ts'
import { addExtent, before, beginningOf, bytesIn, missingIn } from './extents.ts'
import { journalOf, readJournal, syncFolder, writeJournal } from './journal.ts'

export type PartPlace = {
  path: string
  /** What it becomes. */
  blob: string
  root: string
  signal: AbortSignal
  /** Lets another process have it. */
  unlock: () => void
  notes: typeof usualNotes
}

/** How often what came is synced and noted. */
export const usualNotes = { everyMs: 500, everyBytes: 128 * 1024 * 1024 }

const magicBytes = 4
const readBytes = 1024 * 1024
const roomForNotes = 1024 * 1024

export async function openPart(
  file: PinnedFile,
  { path, blob, root, signal, unlock, notes: every }: PartPlace,
): Promise<ArtifactPart> {
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  let { etag, extents } = await readJournal(path)
  const { size } = await handle.stat()
  if ((extents.at(-1)?.to ?? 0) > Math.min(size, file.bytes)) extents = []
  const magic = Buffer.alloc(magicBytes)
  await handle.read(magic, 0, magicBytes, 0)
  const digest = follow(file, { handle, signal, beginning: () => beginningOf(extents) })
  const notes = keepNotes()
  digest.go()

  /** Notes what is there, soon or when much came. One at a time; what comes meanwhile is for the next one. */
  function keepNotes() {
    let unsynced = 0
    let timer: NodeJS.Timeout | null = null
    let running: Promise<void> = Promise.resolve()
    let next: Promise<void> | null = null

    async function note(): Promise<void> {
      next = null
      unsynced = 0
      const synced: { etag: string | null; extents: Extent[] } = { etag, extents }
      await handle.datasync()
      await writeJournal(path, synced)
    }
    function now(): Promise<void> {
      if (timer !== null) clearTimeout(timer)
      timer = null
      next ??= running.catch(() => {}).then(note)
      running = next
      return running
    }
    return {
      now,
      /** A note that fails leaves the one before, and the next one, or the end, tells. */
      add(bytes: number): void {
        unsynced += bytes
        if (unsynced >= every.everyBytes) void now().catch(() => {})
        else timer ??= setTimeout(() => void now().catch(() => {}), every.everyMs)
      },
      async stop(): Promise<void> {
        if (timer !== null) clearTimeout(timer)
        timer = null
        await running.catch(() => {})
      },
    }
  }

  return {
    get bytes() {
      return bytesIn(extents)
    },
    missing: () => missingIn(extents, file.bytes),
    get etag() {
      return etag
    },
    get magic() {
      return magic.subarray(0, Math.min(magicBytes, beginningOf(extents))).toString('latin1')
    },
    restart: newEtag =>
      onDisk(root, async () => {
        await notes.stop()
        await digest.restart()
        etag = newEtag
        extents = []
        // Before the bytes go: notes of bytes that are gone would be wrong.
        await writeJournal(path, { etag, extents })
        await handle.truncate(0)
      }),
    write: (at, pieces) =>
      onDisk(root, async () => {
        const { bytesWritten } = await handle.writev([...pieces], at)
        let end = at
        for (const piece of pieces) {
          // A disk that is nearly full takes a part, and says why with the next try.
          const written = Math.max(0, Math.min(piece.length, at + bytesWritten - end))
          for (let done = written; done < piece.length;)
            done += (await handle.write(piece, done, piece.length - done, end + done)).bytesWritten
          if (end < magicBytes) magic.set(piece.subarray(0, magicBytes - end), end)
          end += piece.length
        }
        extents = addExtent(extents, { from: at, to: end })
        digest.came(at, pieces)
        notes.add(end - at)
      }),
    finish: () =>
      onDisk(root, async () => {
        const hex = await digest.finish()
        await notes.stop()
        if (hex !== file.digest.hex) {
          await handle.close()
          await rm(journalOf(path), { force: true })
          await rm(path, { force: true })
          unlock()
          return { ok: false, hex }
        }
        await handle.sync()
        await handle.close()
        await rename(path, blob)
        await syncFolder(dirname(blob))
        await rm(journalOf(path), { force: true })
        unlock()
        return { ok: true }
      }),
    async close() {
      await digest.stop()
      await notes.stop()
      // A full disk has no room for the note: the end of what came makes some. What is not noted comes again.
      await notes.now().catch(async () => {
        const cut = Math.max(0, (extents.at(-1)?.to ?? 0) - roomForNotes)
        extents = before(extents, cut)
        await handle
          .truncate(cut)
          .then(notes.now)
          .catch(() => {})
      })
      await handle.close()
      unlock()
    },
  }
}

type Following = { handle: FileHandle; signal: AbortSignal; beginning: () => number }

/** The digest of the file's beginning, as far as that is there. */
function follow(file: PinnedFile, { handle, signal, beginning }: Following) {
  let hash = openHash(file)
  let hashed = 0
  let reading: Promise<void> | null = null
  let stopped = false
  const buffer = new Uint8Array(Math.min(readBytes, file.bytes))

  async function read(): Promise<void> {
    while (hashed < beginning() && !stopped) {
      signal.throwIfAborted()
      const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, beginning() - hashed), hashed)
      if (bytesRead === 0) throw new Error(`${file.path} has become shorter while it was read`)
      hash.update(buffer.subarray(0, bytesRead))
      hashed += bytesRead
    }
  }

  function go(): void {
    if (reading !== null || hashed >= beginning() || stopped) return
    reading = read().finally(() => {
      reading = null
    })
    // The end reads on from where this ended, and tells.
    reading.catch(() => {})
  }

  async function stop(): Promise<void> {
    stopped = true
    await reading?.catch(() => {})
  }

  return {
    go,
    came(at: number, pieces: readonly Uint8Array[]): void {
      if (reading === null && at === hashed)
        for (const piece of pieces) {
          hash.update(piece)
          hashed += piece.length
        }
      go()
    },
    stop,
    async restart(): Promise<void> {
      await stop()
      hash = openHash(file)
      hashed = 0
      stopped = false
    },
    /** Of all of it. */
    async finish(): Promise<string> {
      await reading?.catch(() => {})
      await read()
      return hash.digest('hex')
    },
  }
}

/** Git hashes a file with its length in front. */
function openHash({ digest, bytes }: PinnedFile): Hash {
  return digest.algorithm === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${bytes}\0`)
}
