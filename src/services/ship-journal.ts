/** Ships a gateway's journal to its controller: tails every epoch, resumes after any break, forgets what has arrived. */
import { epochStart } from '../domain/journal/index.ts'
import type { Depot, ShippableJournal, Shipped } from '../domain/journal/index.ts'

export type ShipParts = {
  journal: ShippableJournal
  depot: Depot
  /** Told after each pass that went through, and when one did not. */
  onPass: (behindBytes: number) => void
  onProblem: (problem: string, cause: unknown) => void
}

export type Shipping = {
  /** Ships on until the signal. Never rejects. `wake` resolves when it is time to look again; `failed`: after a break. */
  run(parts: { signal: AbortSignal; wake: (failed: boolean) => Promise<void> }): Promise<void>
  /** One more pass, for the last words. Rejects when the controller is away. */
  pass(): Promise<void>
}

/** The last two segments stay as long as their epoch lives: repairing it needs the end of the one before. */
const keptSegments = 2

export function openShipping({ journal, depot, onPass, onProblem }: ShipParts): Shipping {
  /** As the controller told; empty: it must be asked. */
  const held = new Map<string, Shipped>()
  let told = false

  async function pass(signal?: AbortSignal): Promise<void> {
    const epochs = await journal.epochs()
    const unknown = epochs.filter(epoch => !held.has(epoch))
    if (unknown.length > 0) {
      for (const epoch of unknown) held.set(epoch, { epoch, at: epochStart, ended: false })
      for (const each of await depot.held(unknown)) held.set(each.epoch, each)
    }
    let behind = 0
    for (const epoch of epochs) {
      if (signal?.aborted === true) return
      behind += await shipEpoch(epoch, signal)
    }
    onPass(behind)
    told = false
  }

  /** Resolves with the bytes that are left. */
  async function shipEpoch(epoch: string, signal?: AbortSignal): Promise<number> {
    for (;;) {
      const { at, ended } = held.get(epoch) ?? { at: epochStart, ended: false }
      if (ended) {
        await journal.remove(epoch)
        return 0
      }
      if (signal?.aborted === true) return 0
      const reading = await journal.read(epoch, at)
      switch (reading.kind) {
        case 'lines': {
          // What the controller has must never be more than what survives a power cut here.
          await journal.settle(epoch, at.segment)
          const bytes = joined(reading.lines.map(line => line.bytes))
          const next = await depot.send({ epoch, at, bytes })
          held.set(epoch, next)
          if (next.at.segment > at.segment || at.offset === 0)
            await journal.removeBefore(epoch, next.at.segment - keptSegments + 1)
          break
        }
        case 'segment-end':
        case 'segment-missing':
          held.set(epoch, { epoch, at: reading.next, ended: false })
          break
        case 'tail':
        case 'epoch-missing':
          return journal.bytesAfter(epoch, at)
        default:
          return reading satisfies never
      }
    }
  }

  return {
    pass: () => pass(),
    async run({ signal, wake }) {
      while (!signal.aborted) {
        let failed = false
        try {
          await pass(signal)
        } catch (error) {
          failed = true
          // Where the controller is after a break, it knows best.
          held.clear()
          if (!told && !signal.aborted)
            onProblem('The journal can’t be sent to the controller now; it is kept here and sent later.', error)
          told = true
        }
        await wake(failed)
      }
    },
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}
