/** What a gateway was last told, on its disk: the snapshot and the access image, so that it starts with the controller dead. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { AccessImage, NumberedChange } from '../../domain/access/index.ts'
import type { Snapshot } from '../../domain/serving/index.ts'

export type GatewayDisk = ReturnType<typeof openGatewayDisk>

/** Changes are appended; beyond this the image is written anew. */
const mostChangesBytes = 1024 * 1024

/** Files of `folder`, 0600. Every write is synced before it returns: an acknowledgement follows it. */
export function openGatewayDisk(folder: string) {
  const snapshotFile = join(folder, 'snapshot.json')
  const accessFile = join(folder, 'access.json')
  const changesFile = join(folder, 'access-changes.jsonl')

  return {
    /** `null`: this gateway was never told, or the file is damaged. */
    snapshot(): Snapshot | null {
      return readJson<Snapshot>(snapshotFile)
    },

    access(): { image: AccessImage; changes: NumberedChange[] } | null {
      const image = readJson<AccessImage>(accessFile)
      if (image === null) return null
      const lines = existsSync(changesFile) ? readFileSync(changesFile, 'utf8').split('\n') : []
      // The text after the last newline is a write that a crash cut short: it was not acknowledged.
      const changes = lines.slice(0, -1).map(line => JSON.parse(line) as NumberedChange)
      return { image, changes: changes.filter(({ seq }) => seq > image.seq) }
    },

    saveSnapshot(snapshot: Snapshot): void {
      replaceFile(snapshotFile, JSON.stringify(snapshot))
    },

    saveAccess(image: AccessImage): void {
      replaceFile(accessFile, JSON.stringify(image))
      // Changes up to the image's are left out when read, so a crash between the two writes does no harm.
      writeFileSync(changesFile, '', { mode: 0o600 })
    },

    /** `false`: the list has grown long; save the image instead. */
    appendChanges(changes: readonly NumberedChange[]): boolean {
      if (existsSync(changesFile) && statSync(changesFile).size > mostChangesBytes) return false
      const file = openSync(changesFile, 'a', 0o600)
      try {
        writeSync(file, changes.map(change => `${JSON.stringify(change)}\n`).join(''))
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
      return true
    },
  }
}

/** Written by this module only, whole or not at all; so its shape is taken as it is. */
function readJson<T>(path: string): T | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T
  } catch {
    return null
  }
}

/** Readers see the old file or the new one, also after a power cut. */
function replaceFile(path: string, text: string): void {
  const temporary = `${path}.new`
  const file = openSync(temporary, 'w', 0o600)
  try {
    writeSync(file, text)
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
