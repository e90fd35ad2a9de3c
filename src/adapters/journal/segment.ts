/** A segment being written: whole lines go in, or are taken back. */
import { closeSync, fdatasync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'

const datasync = promisify(fdatasync)

/** Writes at a place in the file; answers how many bytes the kernel took. Tests give one that fails. */
export type Write = (descriptor: number, bytes: Uint8Array, position: number) => number
const writeToKernel: Write = (descriptor, bytes, position) => writeSync(descriptor, bytes, 0, bytes.length, position)

export type Segment = ReturnType<typeof openSegment>

export function openSegment(path: string, write: Write = writeToKernel) {
  const descriptor = openSync(path, 'wx', 0o600)
  let size = 0
  /** Part of a line lies beyond `size` and could not be cut off. */
  let torn = false

  const takeBack = (): void => {
    torn = true
    ftruncateSync(descriptor, size)
    torn = false
  }

  return {
    get size(): number {
      return size
    },
    /**
     * Hands lines to the kernel. When that fails part-way, whole lines that got in stay (a reader may have seen them)
     * and the rest is cut off. `kept`: bytes of lines that are in.
     */
    put(bytes: Uint8Array): { kept: number; error: Error | null } {
      let done = 0
      try {
        if (torn) takeBack()
        while (done < bytes.length) {
          const written = write(descriptor, done === 0 ? bytes : bytes.subarray(done), size + done)
          if (written === 0) throw new Error('The kernel took no bytes.')
          done += written
        }
        size += done
        return { kept: done, error: null }
      } catch (error) {
        const kept = done === 0 ? 0 : bytes.lastIndexOf(0x0a, done - 1) + 1
        size += kept
        try {
          if (done > kept) takeBack()
        } catch {
          // `torn` stays set: the next `put` tries again before it writes.
        }
        return { kept, error: error instanceof Error ? error : new Error(String(error)) }
      }
    },
    sync: (): Promise<void> => datasync(descriptor),
    close(): void {
      closeSync(descriptor)
    },
  }
}
