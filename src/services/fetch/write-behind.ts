/** Write behind: what comes while a write is under way goes to the disk with the next one, in few large writes. */

export type WriteBehind = {
  /** Resolves at once while there is room. Throws what a write before threw. */
  add(piece: Uint8Array): Promise<void>
  /** Resolves when all that was added is written. */
  end(): Promise<void>
}

const mostBytes = 1024 * 1024
/** The system takes 1024 in one call. */
const mostPieces = 512

export function openWriteBehind(write: (pieces: Uint8Array[]) => Promise<void>): WriteBehind {
  let waiting: Uint8Array[] = []
  let waitingBytes = 0
  let writing: Promise<void> | null = null

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const now = waiting
      waiting = []
      waitingBytes = 0
      await write(now)
    }
    // Not when it failed: whoever comes next is told.
    writing = null
  }

  return {
    async add(piece) {
      waiting.push(piece)
      waitingBytes += piece.length
      writing ??= run()
      // Whoever awaits it is told; nobody may.
      writing.catch(() => {})
      if (waitingBytes >= mostBytes || waiting.length >= mostPieces) await writing
    },
    end: () => writing ?? Promise.resolve(),
  }
}
