/** Segments that nobody writes any more: lines give way to tombstones, and old ones go. Rules J19 to J23 of SPEC.md. */
import { open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isBlock, parseBlock, renderErased } from '../../domain/journal/index.ts'
import type { JournalKeeper, JournalReader, Line } from '../../domain/journal/index.ts'
import { actId } from '../../domain/units.ts'
import type { ActId } from '../../domain/units.ts'
import { newSha256, sha256OfLine } from './digest.ts'
import { isEpochName, parsePreparedName, preparedName, segmentPath, segmentsAmong, syncFolder } from './layout.ts'

type Place = { epoch: string; segment: number; act: ActId }
type Pick = (text: string) => boolean

/** `reader` reads the same folder. */
export function openJournalKeeper({ folder, reader }: { folder: string; reader: JournalReader }): JournalKeeper {
  const preparedPath = ({ epoch, segment, act }: Place): string => join(folder, epoch, preparedName(segment, act))

  return {
    async segments(epoch) {
      return segmentsAmong(await filesOf(join(folder, epoch)))
    },

    count,

    async prepare(place, pick) {
      const { epoch, segment, act } = place
      const erased = newSha256()
      let lines = 0
      let older = 0
      // Most segments hold nothing of most people: those are only read.
      const wanted = await count(epoch, segment, pick)
      if (wanted === 0) return { cover: null, older }
      const handle = await open(preparedPath(place), 'w', 0o600)
      try {
        for await (const { block, before } of blocksOf(epoch, segment)) {
          const isOlder = block !== null && parseBlock(block.text)?.v !== 2
          const written = before.map(line => {
            if (!pick(line.text)) return line.bytes
            if (isOlder) {
              older++
              return line.bytes
            }
            lines++
            const digest = sha256OfLine(line.bytes)
            erased.update(digest)
            return Buffer.from(renderErased({ digest, by: act }))
          })
          await handle.appendFile(Buffer.concat(block === null ? written : [...written, block.bytes]))
        }
        await handle.datasync()
      } finally {
        await handle.close()
      }
      if (lines > 0) return { cover: { act, epoch, segment, lines, digest: erased.hex() }, older }
      await rm(preparedPath(place), { force: true })
      return { cover: null, older }
    },

    async replace(place) {
      await rename(preparedPath(place), segmentPath(folder, place.epoch, place.segment))
      await syncFolder(join(folder, place.epoch))
    },

    async prepared() {
      const epochs = (await filesOf(folder)).filter(isEpochName)
      const found = epochs.map(async epoch =>
        (await filesOf(join(folder, epoch))).flatMap(name => {
          const parsed = parsePreparedName(name)
          return parsed === null ? [] : [{ epoch, segment: parsed.segment, act: actId(parsed.act) }]
        }),
      )
      return (await Promise.all(found)).flat()
    },

    async discard(place) {
      await rm(preparedPath(place), { force: true })
    },

    async remove({ epoch, segment, whole }) {
      const path = join(folder, epoch)
      const files = await filesOf(path)
      if (files.length === 0 && !whole) return
      const gone = new Set(segmentsAmong(files).filter(each => each <= segment))
      for (const each of gone) await rm(segmentPath(folder, epoch, each), { force: true })
      if (!whole) return
      await rm(path, { recursive: true, force: true })
      await syncFolder(folder)
    },
  }

  async function count(epoch: string, segment: number, pick: Pick): Promise<number> {
    let found = 0
    for await (const lines of linesOf(epoch, segment)) found += lines.filter(line => pick(line.text)).length
    return found
  }

  async function* linesOf(epoch: string, segment: number): AsyncGenerator<Line[]> {
    for (let offset = 0; ;) {
      const reading = await reader.read(epoch, { segment, offset })
      if (reading.kind !== 'lines') return
      yield reading.lines
      offset = reading.next.offset
    }
  }

  /** A block's form is known only once its own line has come, so its lines are held until then: a tenth of a second's worth. */
  async function* blocksOf(epoch: string, segment: number): AsyncGenerator<{ before: Line[]; block: Line | null }> {
    let before: Line[] = []
    for await (const lines of linesOf(epoch, segment)) {
      for (const line of lines) {
        if (!isBlock(line.text)) {
          before.push(line)
          continue
        }
        yield { before, block: line }
        before = []
      }
    }
    if (before.length > 0) yield { before, block: null }
  }
}

async function filesOf(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}
