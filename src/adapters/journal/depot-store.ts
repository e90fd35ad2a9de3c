/** Journals of gateways elsewhere, in the controller's own journal folder: appended, synced, and only then acknowledged. */
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
} from 'node:fs'
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import { parseBlock } from '../../domain/journal/index.ts'
import type { DepotStore, Position, Shipment, Shipped } from '../../domain/journal/index.ts'
import { isEpochName, segmentPath, segmentsAmong, syncFolder } from './layout.ts'
import { readTail, wholeLines } from './repair.ts'

/** Beside the segments, in the place of `writer.json`: whose epoch it is. */
const Owner = z.object({ gateway: z.string(), ended: z.boolean() })
type Epoch = z.output<typeof Owner> & { at: Position }

const ownerFile = 'shipped.json'
/** Neither an epoch yet, nor a draft of the gateway here. */
const draftName = (epoch: string): string => `.shipped-${epoch}`
const newline = 0x0a

/**
 * Reads what there is, and cuts off what a crash left half-written: it was not acknowledged. `onProblem`: an epoch that
 * can't be read is not gone on with.
 */
export function openDepotStore({
  folder,
  onProblem,
}: {
  folder: string
  onProblem: (problem: string, cause: unknown) => void
}): DepotStore {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const epochs = new Map<string, Epoch>()
  const turns = new Map<string, Promise<unknown>>()
  for (const epoch of readdirSync(folder).filter(isEpochName)) {
    try {
      const found = readEpoch(folder, epoch)
      if (found !== null) epochs.set(epoch, found)
    } catch (error) {
      onProblem(`The journal's epoch ${epoch}, of a gateway elsewhere, can't be read; it is not gone on with.`, error)
    }
  }

  /** One at a time for each epoch. */
  function inTurn<T>(epoch: string, work: () => Promise<T>): Promise<T> {
    const mine = (turns.get(epoch) ?? Promise.resolve()).then(work, work)
    turns.set(epoch, mine)
    const leave = (): void => {
      if (turns.get(epoch) === mine) turns.delete(epoch)
    }
    mine.then(leave, leave)
    return mine
  }

  async function append(gateway: string, { epoch, at, bytes }: Shipment): Promise<Shipped | null> {
    if (!isEpochName(epoch) || bytes.at(-1) !== newline) return null
    const known = epochs.get(epoch)
    // The folder of a gateway on this machine, or one that could not be read.
    if (known === undefined && existsSync(join(folder, epoch))) return null
    if (known !== undefined && known.gateway !== gateway) return null
    if (known !== undefined && (known.ended || !follows(at, known.at))) return toShipped(epoch, known)
    if (known === undefined && at.offset !== 0) return { epoch, at: { segment: at.segment, offset: 0 }, ended: false }

    const state = known ?? (await begin(gateway, epoch, at.segment))
    await write(segmentPath(folder, epoch, at.segment), at.offset, bytes)
    if (at.offset === 0) await syncFolder(join(folder, epoch))
    state.at = { segment: at.segment, offset: at.offset + bytes.length }
    if (isEnd(bytes)) {
      await writeOwner(join(folder, epoch), { gateway, ended: true })
      state.ended = true
    }
    return toShipped(epoch, state)
  }

  async function begin(gateway: string, epoch: string, segment: number): Promise<Epoch> {
    const draft = join(folder, draftName(epoch))
    await rm(draft, { recursive: true, force: true })
    await mkdir(draft, { mode: 0o700 })
    await writeOwner(draft, { gateway, ended: false })
    await rename(draft, join(folder, epoch))
    await syncFolder(folder)
    const state = { gateway, ended: false, at: { segment, offset: 0 } }
    epochs.set(epoch, state)
    return state
  }

  return {
    held: (gateway, asked) =>
      asked.flatMap(epoch => {
        const known = epochs.get(epoch)
        return known?.gateway === gateway ? [toShipped(epoch, known)] : []
      }),
    take: (gateway, shipment) =>
      inTurn(shipment.epoch, () => append(gateway, shipment)).catch((error: unknown) => {
        throw isFull(error) ? new FaultError({ kind: 'journal-full' }, { cause: error }) : error
      }),
  }
}

const toShipped = (epoch: string, { at, ended }: Epoch): Shipped => ({ epoch, at: { ...at }, ended })

/** The next byte, or the beginning of a later segment: those between hold nothing, or are gone at the gateway too. */
const follows = (at: Position, known: Position): boolean =>
  at.segment === known.segment ? at.offset === known.offset : at.segment > known.segment && at.offset === 0

/** All or nothing: what a full disk cut short is taken back. */
async function write(path: string, offset: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, offset === 0 ? 'w' : 'r+', 0o600)
  try {
    let done = 0
    while (done < bytes.length) {
      const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done)
      done += bytesWritten
    }
    await file.datasync()
  } catch (error) {
    await file.truncate(offset).catch(() => {})
    throw error
  } finally {
    await file.close()
  }
}

async function writeOwner(epochFolder: string, owner: z.output<typeof Owner>): Promise<void> {
  const path = join(epochFolder, ownerFile)
  await writeFile(`${path}.new`, JSON.stringify(owner), { mode: 0o600, flush: true })
  await rename(`${path}.new`, path)
  await syncFolder(epochFolder)
}

/** `null`: an epoch of a gateway on this machine. */
function readEpoch(folder: string, epoch: string): Epoch | null {
  const path = join(folder, epoch, ownerFile)
  if (!existsSync(path)) return null
  const owner = Owner.parse(JSON.parse(readFileSync(path, 'utf8')))
  const segment = segmentsAmong(readdirSync(join(folder, epoch))).at(-1)
  if (segment === undefined) return { ...owner, at: { segment: 1, offset: 0 } }
  const descriptor = openSync(segmentPath(folder, epoch, segment), 'r+')
  try {
    const size = fstatSync(descriptor).size
    if (owner.ended) return { ...owner, at: { segment, offset: size } }
    const { block, unsealed, from } = readTail(descriptor, size)
    const offset = from + wholeLines(unsealed).length
    if (offset < size) ftruncateSync(descriptor, offset)
    // What was written and not yet synced when the controller died: it is told as held from now on.
    fsyncSync(descriptor)
    return { gateway: owner.gateway, ended: block?.end === true && offset === from, at: { segment, offset } }
  } finally {
    closeSync(descriptor)
  }
}

/** Whether the last of these lines is the end of the epoch. */
function isEnd(bytes: Uint8Array): boolean {
  const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const start = lines.length < 2 ? 0 : lines.lastIndexOf(newline, lines.length - 2) + 1
  return parseBlock(lines.toString('utf8', start, lines.length - 1))?.end === true
}

const isFull = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
