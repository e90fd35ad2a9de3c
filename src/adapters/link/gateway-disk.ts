/** What a gateway was last told, on its disk: the snapshot and the access image, so that it starts with the controller dead. */
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { AccessImage, NumberedChange } from '../../domain/access/index.ts'
import type { Snapshot, Spend } from '../../domain/serving/index.ts'

export type GatewayDisk = ReturnType<typeof openGatewayDisk>

/** Changes are appended; beyond this the image is written anew. */
const mostChangesBytes = 1024 * 1024

/** Files of `folder`, 0600. Every write that an acknowledgement follows is synced before it returns. */
export function openGatewayDisk(folder: string) {
  const snapshotFile = join(folder, 'snapshot.json')
  const accessFile = join(folder, 'access.json')
  const changesFile = join(folder, 'access-changes.jsonl')
  const spendFile = join(folder, 'spend.json')

  return {
    /** `null`: this gateway was never told, or the file is damaged. */
    snapshot(): Snapshot | null {
      return readJson<Snapshot>(snapshotFile, 'id')
    },

    access(): { image: AccessImage; changes: NumberedChange[] } | null {
      const image = readJson<AccessImage>(accessFile, 'epoch')
      if (image === null) return null
      const lines = readChanges().filter(({ epoch, seq }) => epoch === image.epoch && seq > image.seq)
      return { image, changes: lines.map(({ seq, change }) => ({ seq, change })) }
    },

    /** Another one when the snapshot or access was written since. */
    stamp(): string {
      return [snapshotFile, accessFile, changesFile].map(stampOf).join(' ')
    },

    /** What was spent of budgets when it was told last, by all. */
    spend(): Spend[] {
      return readJson<{ spend: Spend[] }>(spendFile, 'spend')?.spend ?? []
    },

    /** Not synced: it is told again a second later, and what a power cut loses the controller knows. */
    saveSpend(spend: readonly Spend[]): void {
      const temporary = `${spendFile}.new`
      writeFileSync(temporary, JSON.stringify({ spend }), { mode: 0o600 })
      renameSync(temporary, spendFile)
    },

    saveSnapshot(snapshot: Snapshot): void {
      replaceFile(snapshotFile, JSON.stringify(snapshot))
    },

    saveAccess(image: AccessImage): void {
      replaceFile(accessFile, JSON.stringify(image))
      // Changes up to the image's, and of another epoch, are left out when read: a crash between the two does no harm.
      writeFileSync(changesFile, '', { mode: 0o600 })
    },

    /** `false`: the list has grown long; save the image instead. */
    appendChanges({ epoch, changes }: { epoch: string; changes: readonly NumberedChange[] }): boolean {
      const file = openSync(changesFile, 'a', 0o600)
      try {
        const { size } = fstatSync(file)
        if (size > mostChangesBytes) return false
        const lines = changes.map(({ seq, change }) => `${JSON.stringify({ epoch, seq, change } satisfies Line)}\n`)
        try {
          writeFileSync(file, lines.join(''))
          fsyncSync(file)
        } catch (error) {
          // The next append must not go on in the middle of a line.
          ftruncateSync(file, size)
          throw error
        }
        return true
      } finally {
        closeSync(file)
      }
    },
  }

  /** All whole lines, in the order written. What a crash cut short was not acknowledged: it is taken off the file. */
  function readChanges(): Line[] {
    const bytes = existsSync(changesFile) ? readFileSync(changesFile) : Buffer.alloc(0)
    const changes: Line[] = []
    let good = 0
    for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, good)) {
      const line = parse<Line>(bytes.toString('utf8', good, end), 'change')
      if (line === null) break
      changes.push(line)
      good = end + 1
    }
    if (good < bytes.length) truncateSync(changesFile, good)
    return changes
  }
}

function stampOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false, bigint: true })
  return found === undefined ? '-' : `${found.ino}:${found.size}:${found.mtimeNs}`
}

/** A change as a line of the file. Numbers mean something within one epoch only. */
type Line = NumberedChange & { epoch: string }

const newline = 0x0a

function readJson<T>(path: string, mark: keyof T & string): T | null {
  return existsSync(path) ? parse<T>(readFileSync(path, 'utf8'), mark) : null
}

/** `null`: damaged. Written by this module only; so what has one of its fields is taken to have the others. */
function parse<T>(text: string, mark: keyof T & string): T | null {
  try {
    const value: unknown = JSON.parse(text)
    // See above: this is what was written.
    return typeof value === 'object' && value !== null && mark in value ? (value as T) : null
  } catch {
    return null
  }
}

/** Readers see the old file or the new one, also after a power cut. */
function replaceFile(path: string, text: string): void {
  const temporary = `${path}.new`
  const file = openSync(temporary, 'w', 0o600)
  try {
    writeFileSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(temporary, path)
  const folder = openSync(dirname(path), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
