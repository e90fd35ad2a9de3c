/** Judges the pairs of answers that gateways send: texts are opened, compared and dropped, and the verdict is kept. */
import type { ChatMessage } from '../../domain/dialect/index.ts'
import { openJudgeRecord, type JudgeRecord, type PairOutcome } from '../../domain/evaluation/index.ts'
import type { JudgedPair, Release, ReleaseStore } from '../../domain/release/index.ts'
import type { PairTexts, ShadowPair } from '../../domain/serving/index.ts'
import type { Instant, ModelName, ReleaseId } from '../../domain/units.ts'
import { judgePair, type Judge } from '../evaluate/index.ts'

export type PairJudgeParts = {
  store: Pick<ReleaseStore, 'addPairs'>
  /** The release, while it is under way. */
  find: (id: ReleaseId) => Release | null
  /** `null`: not sealed for this release's key. */
  open: (release: ReleaseId, pair: ShadowPair) => PairTexts | null
  judgeOf: (model: ModelName) => Judge
  /** What the judge of a release has shown of itself in pairs that were stored. */
  recordOf: (release: ReleaseId) => JudgeRecord | null
  /** Whether a judge's reasons may be kept: they quote what they judge. */
  keepsTexts: () => boolean
  now: () => Instant
  onProblem: (problem: string, cause: unknown) => void
}

export type PairJudge = {
  /** Returns at once. What there is no room for is dropped, the oldest first. */
  take(release: ReleaseId, pairs: readonly ShadowPair[]): void
  close(): Promise<void>
}

/** In memory, sealed. */
const mostWaiting = 128
/** Each pair is two questions at once already, and which control is due depends on those before. */
const atOnce = 1

export function openPairJudge(parts: PairJudgeParts): PairJudge {
  const waiting: { release: ReleaseId; pair: ShadowPair }[] = []
  const records = new Map<ReleaseId, JudgeRecord>()
  const stop = new AbortController()
  const running = new Set<Promise<void>>()

  function goOn(): void {
    while (running.size < atOnce && !stop.signal.aborted) {
      const next = waiting.shift()
      if (next === undefined) return
      const done = judge(next.release, next.pair)
        .catch(error => {
          if (!stop.signal.aborted)
            parts.onProblem('A pair of answers could not be judged; it counts for nothing.', error)
        })
        .finally(() => {
          running.delete(done)
          goOn()
        })
      running.add(done)
    }
  }

  async function judge(id: ReleaseId, shadow: ShadowPair): Promise<void> {
    const release = parts.find(id)
    // What comes after the verdict is not read by anybody.
    if (release === null || release.phase !== 'shadow') {
      records.delete(id)
      return
    }
    const pair = await compare(release, shadow)
    if (pair !== null) await parts.store.addPairs(id, [{ at: parts.now(), pair }])
  }

  async function compare(release: Release, shadow: ShadowPair): Promise<JudgedPair | null> {
    const { lengths, candidate } = shadow
    const counted = { identical: false, lengths: { ...lengths, candidate: lengths.candidate ?? 0 } }
    const judgeModel = release.policy.shadow?.judge ?? null
    if (!candidate.ok) return { ...counted, verdicts: [], judge: '', failed: true }
    if (judgeModel === null) return { ...counted, verdicts: [], judge: '' }
    const texts = parts.open(release.id, shadow)
    // Sealed for a key that went with an earlier process of the controller.
    if (texts === null) return null
    const judge = parts.judgeOf(judgeModel)
    const { outcome, record, control, pin } = await judgePair(
      judge,
      // `mayCopy` let plain conversations through, and nothing else is sealed.
      { messages: texts.messages as ChatMessage[], live: texts.live, candidate: texts.candidate },
      { record: records.get(release.id) ?? parts.recordOf(release.id) ?? openJudgeRecord(), signal: stop.signal },
    )
    records.set(release.id, record)
    return {
      ...counted,
      identical: outcome.kind === 'identical',
      verdicts: verdictsOf(outcome, parts.keepsTexts()),
      judge: `${pin.judge} ${pin.digest ?? ''} ${pin.prompt}`,
      controls: control === null ? [] : [control],
    }
  }

  return {
    take(release, pairs) {
      for (const pair of pairs) waiting.push({ release, pair })
      waiting.splice(0, Math.max(0, waiting.length - mostWaiting))
      goOn()
    },
    async close() {
      stop.abort(new Error('the controller stops'))
      waiting.length = 0
      await Promise.all(running)
    },
  }
}

/** In both orders: first with the live answer in slot A. Where one order alone could not be read, the other decides nothing. */
function verdictsOf(outcome: PairOutcome, keepsTexts: boolean): JudgedPair['verdicts'] {
  switch (outcome.kind) {
    case 'judged':
      return outcome.verdicts.map(({ winner, critical, reason }, order) => {
        const candidateIn = order === 0 ? 'B' : 'A'
        const named = winner === candidateIn ? 'candidate' : 'live'
        return { winner: winner === 'tie' ? winner : named, candidateIn, critical, reason: keepsTexts ? reason : '' }
      })
    case 'unparsable': {
      const unread = { winner: null, critical: false, reason: outcome.why }
      const other = { ...unread, winner: outcome.calls === 2 ? null : ('tie' as const) }
      return [
        { ...unread, candidateIn: 'B' },
        { ...other, candidateIn: 'A' },
      ]
    }
    case 'identical':
    case 'not-judged':
      return []
    default:
      return outcome satisfies never
  }
}
