/**
 * A part's journal, `<part>.extents`: which bytes of it are on the disk, and the tag of the bytes that they are of. Only
 * what was synced is noted, so what is noted is there after `kill -9` and after a power cut.
 */
import { open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import type { Extent } from '../../services/artifact-ports.ts'

const Journal = z.object({
  etag: z.string().nullable(),
  extents: z.array(z.tuple([z.int().min(0), z.int().min(0)])),
})

export type Noted = { etag: string | null; extents: Extent[] }

export const journalOf = (part: string): string => `${part}.extents`

/** Nothing, when there is none or it is damaged: the bytes come again then. */
export async function readJournal(part: string): Promise<Noted> {
  try {
    const { etag, extents } = Journal.parse(JSON.parse(await readFile(journalOf(part), 'utf8')))
    const inOrder = extents.every(([from, to], i) => from < to && (extents[i - 1]?.[1] ?? -1) < from)
    return inOrder ? { etag, extents: extents.map(([from, to]) => ({ from, to })) } : nothing
  } catch {
    return nothing
  }
}

/** Durable when it resolves. Readers see the old notes or the new ones. */
export async function writeJournal(part: string, { etag, extents }: Noted): Promise<void> {
  const path = journalOf(part)
  const text = JSON.stringify({ etag, extents: extents.map(({ from, to }) => [from, to]) })
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
  await syncFolder(dirname(path))
}

/** A rename is durable once its folder is. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

const nothing: Noted = { etag: null, extents: [] }
