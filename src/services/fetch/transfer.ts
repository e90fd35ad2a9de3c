/** Transfer: one file's bytes into its part, in ranges side by side where the registry knows ranges, else as one stream. */
import { ArtifactError, type PinnedFile } from '../../domain/catalog/index.ts'
import type { ArtifactPart, Extent, Registry } from '../artifact-ports.ts'
import { patiently, type Patience } from '../patiently.ts'
import { sideBySide, type Slots } from './side-by-side.ts'
import { openWriteBehind, type WriteBehind } from './write-behind.ts'

export type TransferParts = Pick<Patience, 'signal' | 'pause'> & {
  registry: Pick<Registry, 'read'>
  /** All who fetch share these. */
  slots: Slots
  connections: number
  ranges: RangeSizes
  tell: (why: string | null) => void
}

/** A file larger than `from` comes in ranges of `each`. */
export type RangeSizes = { from: number; each: number }

/** The registry has other bytes than those that came, or no ranges after all. */
class StartsAgain extends Error {}

const mostStarts = 4

/** Resolves when the part has all bytes, whatever they are. */
export async function transfer(file: PinnedFile, part: ArtifactPart, parts: TransferParts): Promise<void> {
  await checkMagic(file, part)
  let each = file.bytes > parts.ranges.from ? parts.ranges.each : Infinity
  for (let starts = 0; starts < mostStarts; starts++) {
    try {
      return await attempt(file, part, { ...parts, each })
    } catch (error) {
      if (!(error instanceof StartsAgain)) throw error
      await part.restart(null)
      each = Infinity
    }
  }
  throw new ArtifactError('later', `${file.path} became another file ${mostStarts} times while it was fetched`)
}

async function attempt(file: PinnedFile, part: ArtifactPart, parts: TransferParts & { each: number }): Promise<void> {
  const { registry, slots, connections, signal, pause, tell, each } = parts
  const queue = part.missing().flatMap(hole => inRanges(hole, each))
  const first = queue.shift()
  if (first === undefined) return
  // The first answer shows whether ranges are known, and of what bytes they are: until then it is alone.
  let alone = true
  const ranged = Promise.withResolvers<boolean>()

  await sideBySide([true, false], { most: 2, signal }, async (leads, either) => {
    if (leads) await bring(first, either).finally(() => ranged.resolve(false))
    else if (!(await ranged.promise)) return
    await sideBySide(queue, { most: leads ? 1 : connections - 1, signal: either }, bring)
  })

  function bring(range: Extent, either: AbortSignal): Promise<void> {
    return patiently(() => slots(() => once(range, either), either), {
      signal: either,
      pause,
      tell,
      reached: () => range.from,
    })
  }

  /** What has come of a range is no part of it any more. */
  async function once(range: Extent, either: AbortSignal): Promise<void> {
    const asked = { offset: range.from, to: range.to, etag: part.etag }
    const { offset, to = file.bytes, etag, bytes } = await registry.read(file, asked, either)
    const goesOn = offset === range.from && (part.bytes === 0 || part.etag === null || etag === part.etag)
    if (!goesOn && (!alone || offset !== 0 || to < file.bytes)) throw new StartsAgain()
    // Also when it is empty: it keeps the etag.
    if (!goesOn || part.bytes === 0) await part.restart(etag)
    if (!goesOn || (alone && to > range.to)) asOneStream(range, offset)

    const behind = openWriteBehind(async pieces => {
      await part.write(range.from, pieces)
      range.from += pieces.reduce((sum, { length }) => sum + length, 0)
      await checkMagic(file, part)
      tell(null)
      if (alone && range.to < file.bytes) letOthersIn()
    })
    if (await receive(bytes, { room: range.to - range.from, behind })) {
      // More came than was asked for: of a range that is nothing to us.
      if (range.to === file.bytes) return tooMuch(range)
    }
    if (range.from < range.to)
      throw new ArtifactError('soon', `${file.path}: the connection ended after ${part.bytes} of ${file.bytes} bytes`)
  }

  function letOthersIn(): void {
    alone = false
    ranged.resolve(true)
  }

  function asOneStream(range: Extent, from: number): void {
    queue.length = 0
    range.from = from
    range.to = file.bytes
  }

  async function tooMuch(range: Extent): Promise<never> {
    if (!alone) throw new StartsAgain()
    await part.restart(null)
    asOneStream(range, 0)
    throw new ArtifactError('soon', `${file.path}: more bytes came than the ${file.bytes} it has`)
  }
}

/** Whether there is more than `room`, which is not read. Whatever ends it, what came is written. */
async function receive(
  bytes: AsyncIterable<Uint8Array>,
  { room, behind }: { room: number; behind: WriteBehind },
): Promise<boolean> {
  let left = room
  try {
    for await (const piece of bytes) {
      if (piece.length > left) {
        await behind.add(piece.subarray(0, left))
        return true
      }
      left -= piece.length
      await behind.add(piece)
    }
    return false
  } finally {
    await behind.end()
  }
}

function inRanges({ from, to }: Extent, each: number): Extent[] {
  if (to - from <= each) return [{ from, to }]
  const count = Math.ceil((to - from) / each)
  return Array.from({ length: count }, (_, i) => ({ from: from + i * each, to: Math.min(to, from + (i + 1) * each) }))
}

/** Told before gigabytes of something else have come. */
async function checkMagic(file: PinnedFile, part: ArtifactPart): Promise<void> {
  const { magic } = part
  if (!/\.gguf$/i.test(file.path) || magic === 'GGUF' || (magic.length < 4 && magic.length < file.bytes)) return
  await part.restart(null)
  throw new ArtifactError(
    'never',
    `${file.path} of ${file.repository} is no GGUF file (it starts with ${JSON.stringify(magic)}): name one that is`,
  )
}
