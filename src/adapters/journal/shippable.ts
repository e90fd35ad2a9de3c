/** A gateway's journal as it is shipped: read, measured, and removed once the controller has it. */
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Position, ShippableJournal } from '../../domain/journal/index.ts'
import { segmentPath, segmentsAmong } from './layout.ts'
import { openJournalReader } from './reader.ts'

export function openShippableJournal({ folder }: { folder: string }): ShippableJournal {
  const { epochs, read, settle } = openJournalReader({ folder })
  const segmentsOf = async (epoch: string): Promise<number[]> =>
    segmentsAmong(await readdir(join(folder, epoch)).catch(() => []))

  return {
    epochs,
    read,
    settle,
    async bytesAfter(epoch: string, at: Position) {
      const later = (await segmentsOf(epoch)).filter(segment => segment >= at.segment)
      const sizes = await Promise.all(
        later.map(async segment => {
          const { size } = await stat(segmentPath(folder, epoch, segment)).catch(() => ({ size: 0 }))
          return segment === at.segment ? Math.max(0, size - at.offset) : size
        }),
      )
      return sizes.reduce((sum, size) => sum + size, 0)
    },
    remove: epoch => rm(join(folder, epoch), { recursive: true, force: true }),
    async removeBefore(epoch, segment) {
      for (const before of (await segmentsOf(epoch)).filter(each => each < segment))
        await rm(segmentPath(folder, epoch, before), { force: true })
    },
  }
}
