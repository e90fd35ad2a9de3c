/** Sends pairs to the controller: sealed at once, a few waiting in memory, none on a disk. What can't be sent is gone, and counted. */
import type { ShadowPair } from '../../domain/serving/index.ts'
import type { ModelName, ReleaseId } from '../../domain/units.ts'
import type { CopiedPair, ShadowOutcome } from '../serve/index.ts'
import { sealTexts } from './pairs.ts'

export type PairSenderParts = {
  /** Resolves once the controller has them. */
  send: (release: ReleaseId, pairs: readonly ShadowPair[]) => Promise<void>
  count: (model: ModelName, outcome: ShadowOutcome) => void
  onProblem: (problem: string, cause: unknown) => void
}

export type PairSender = {
  add(copied: CopiedPair): void
  /** Resolves when nothing waits or is on its way. */
  idle(): Promise<void>
}

type Waiting = { model: ModelName; release: ReleaseId; pair: ShadowPair }

const mostWaiting = 64
/** Each of them is 350 KB at most. */
const mostAtOnce = 8

export function openPairSender({ send, count, onProblem }: PairSenderParts): PairSender {
  const waiting: Waiting[] = []
  let sending: Promise<void> | null = null
  let told = false

  function add({ model, release, sealFor, pair, texts }: CopiedPair): void {
    try {
      const sealed = texts === null ? null : sealTexts(sealFor, texts, { release, id: pair.id })
      waiting.push({ model, release, pair: { ...pair, sealed } })
    } catch (error) {
      count(model, 'lost')
      tell('The texts of a shadow copy can’t be sealed: the release’s key is no X25519 key.', error)
      return
    }
    const oldest = waiting.length > mostWaiting ? waiting.shift() : undefined
    if (oldest !== undefined) count(oldest.model, 'lost')
    sending ??= sendAll()
  }

  async function sendAll(): Promise<void> {
    for (let [first] = waiting; first !== undefined; [first] = waiting) {
      const { release } = first
      const other = waiting.findIndex(each => each.release !== release)
      const some = waiting.splice(0, Math.min(mostAtOnce, other === -1 ? waiting.length : other))
      let taken = true
      try {
        await send(
          release,
          some.map(({ pair }) => pair),
        )
        told = false
      } catch (error) {
        taken = false
        tell('Shadow copies can’t be sent to the controller now; they are dropped.', error)
      }
      for (const { model, pair } of some) count(model, taken ? outcomeOf(pair) : 'lost')
    }
    sending = null
  }

  /** Once, until it works again. */
  function tell(problem: string, cause: unknown): void {
    if (!told) onProblem(problem, cause)
    told = true
  }

  return { add, idle: () => sending ?? Promise.resolve() }
}

const outcomeOf = ({ candidate }: ShadowPair): ShadowOutcome => (candidate.ok ? 'compared' : 'candidate-failed')
