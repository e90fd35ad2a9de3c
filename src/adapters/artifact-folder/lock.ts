/** One writer for each part, in all processes of this host. */
import { rmSync, statSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/**
 * Gives what unlocks it; `null`: another one holds it. The lock is the kernel's, on an empty database file, so it ends with
 * its holder, however that ends, and nobody has to judge whether a process id is still the one that wrote it.
 */
export function tryLock(path: string): (() => void) | null {
  writeFileSync(path, '', { flag: 'a', mode: 0o600 })
  const before = inodeOf(path)
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === busy) return null
    throw error
  }
  // Its last holder removes it: a lock on a file that is not there any more keeps nobody out.
  if (before === null || inodeOf(path) !== before) {
    database.close()
    return null
  }
  return () => {
    rmSync(path, { force: true })
    database.close()
  }
}

const inodeOf = (path: string): number | null => statSync(path, { throwIfNoEntry: false })?.ino ?? null

/** SQLITE_BUSY. */
const busy = 5
