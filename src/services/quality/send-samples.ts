/** Sends samples to the controller: sealed at once, a few waiting in memory, none on a disk. What can't be sent is gone. */
import type { LiveSample } from '../../domain/serving/index.ts'
import type { SampledAnswer } from '../serve/index.ts'
import { sealSample } from './samples.ts'

export type SampleSenderParts = {
  /** Resolves once the controller has them. */
  send: (samples: readonly LiveSample[]) => Promise<void>
  onProblem: (problem: string, cause: unknown) => void
}

export type SampleSender = {
  add(sampled: SampledAnswer): void
  /** Resolves when nothing waits or is on its way. */
  idle(): Promise<void>
}

const mostWaiting = 32
/** As many as the controller takes. */
const mostAtOnce = 8

export function openSampleSender({ send, onProblem }: SampleSenderParts): SampleSender {
  const waiting: LiveSample[] = []
  let sending: Promise<void> | null = null
  let told = false

  async function sendAll(): Promise<void> {
    while (waiting.length > 0) {
      try {
        await send(waiting.splice(0, mostAtOnce))
        told = false
      } catch (error) {
        tell('Answers to be marked can’t be sent to the controller now; they are dropped.', error)
      }
    }
    sending = null
  }

  /** Once, until it works again. */
  function tell(problem: string, cause: unknown): void {
    if (!told) onProblem(problem, cause)
    told = true
  }

  return {
    add({ sealFor, sample, texts }) {
      try {
        waiting.push(sealSample(sealFor, texts, sample))
      } catch (error) {
        return tell('Answers to be marked can’t be sealed: the controller’s key is no X25519 key.', error)
      }
      waiting.splice(0, Math.max(0, waiting.length - mostWaiting))
      sending ??= sendAll()
    },
    idle: () => sending ?? Promise.resolve(),
  }
}
