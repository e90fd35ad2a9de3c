/** A disk for a service's journal that can be filled up: a tmpfs, where the system lets us mount one. */
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const size = '96m'
const block = Buffer.alloc(64 * 1024)

export type SmallDisk = { fill: () => void; free: () => void; unmount: () => void }

/** `null`: mounting is not allowed here. */
export function mountJournal(home: string): SmallDisk | null {
  const folder = join(home, 'journal')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const options = ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'tmpfs', folder]
  if (process.getuid?.() !== 0 || spawnSync('mount', options, { stdio: 'ignore' }).status !== 0) return null
  const filler = join(home, 'journal', '.filler')
  return {
    fill: () => {
      const file = openSync(filler, 'w')
      try {
        // To the last byte: a smaller and smaller piece, until nothing fits.
        for (let piece = block.length; piece > 0; piece >>= 1) writeWhileItFits(file, piece)
      } finally {
        closeSync(file)
      }
    },
    free: () => rmSync(filler, { force: true }),
    unmount: () => void spawnSync('umount', ['-l', folder], { stdio: 'ignore' }),
  }
}

function writeWhileItFits(file: number, length: number): void {
  try {
    for (;;) if (writeSync(file, block, 0, length) < length) return
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
  }
}
