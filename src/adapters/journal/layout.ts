/** Where an epoch's files are: `<journal>/<epoch>/000001.jsonl`, and `writer.json` while someone writes it. */
import { randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'

const epochPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const segmentPattern = /^(\d{6,})\.jsonl$/

export const isEpochName = (name: string): boolean => epochPattern.test(name)
/** An epoch in the making: it gets its name once it is whole. */
export const draftName = (epoch: string): string => `.draft-${epoch}`
export const isDraftName = (name: string): boolean => name.startsWith('.draft-')

export const segmentName = (segment: number): string => `${String(segment).padStart(6, '0')}.jsonl`
export const segmentPath = (folder: string, epoch: string, segment: number): string =>
  join(folder, epoch, segmentName(segment))
export const writerFile = 'writer.json'

/** A segment that is being written anew, with the act that will vouch for it. */
export const preparedName = (segment: number, act: string): string => `${segmentName(segment)}.by-${act}`
const preparedPattern = /^(\d{6,})\.jsonl\.by-([0-9a-f-]{36})$/
export function parsePreparedName(name: string): { segment: number; act: string } | null {
  const [, segment, act] = preparedPattern.exec(name) ?? []
  return segment === undefined || act === undefined ? null : { segment: Number(segment), act }
}

/** The numbers of the segments among a folder's files, in order. */
export function segmentsAmong(files: readonly string[]): number[] {
  return files
    .flatMap(file => segmentPattern.exec(file)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
}

/** A UUIDv7: epochs, and acts, sort by when they began. */
export function makeUuid7(at: number): string {
  const time = Math.floor(at).toString(16).padStart(12, '0')
  const random = randomBytes(10)
  const variant = ((random.readUInt8(2) & 0x3f) | 0x80).toString(16)
  const hex = random.toString('hex')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex.slice(1, 4)}-${variant}${hex.slice(6, 8)}-${hex.slice(8)}`
}

/** Makes a folder's entries survive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
