/** Has a judge mark samples of live traffic, at its own pace: texts are opened, marked and dropped, and the mark is kept. */
import type { ChatMessage } from '../../domain/dialect/index.ts'
import { isControlDue, isFairCounterpart, promptVersions, type ControlResult } from '../../domain/evaluation/index.ts'
import type { QualityStore } from '../../domain/quality/index.ts'
import type { LiveSample, SampleTexts } from '../../domain/serving/index.ts'
import type { Instant, ModelName } from '../../domain/units.ts'
import { markAnswer, markControl, type Judge } from '../evaluate/index.ts'

export type MarkerParts = {
  store: Pick<QualityStore, 'add'>
  /** Who marks a model's answers, and how many in an hour; `null`: nobody. */
  wishOf: (model: ModelName) => { judge: ModelName; perHour: number } | null
  /** `null`: not sealed for this process. */
  open: (sample: LiveSample) => SampleTexts | null
  judgeOf: (model: ModelName) => Judge
  now: () => Instant
  /** Calls back once, later; returns what calls it off. */
  setTimer: (afterMs: number, fire: () => void) => () => void
  onProblem: (problem: string, cause: unknown) => void
}

export type Marker = {
  /** Returns at once. What there is no time for is dropped, the oldest first. */
  take(samples: readonly LiveSample[]): void
  close(): Promise<void>
}

/** Of each model: in memory, sealed. */
const mostWaiting = 8
const hourMs = 3_600_000

/** What a model's answers wait for. One is marked at a time, and none before `nextAt`. */
type Line = {
  waiting: LiveSample[]
  nextAt: number
  marking: Promise<void> | null
  cancel: (() => void) | null
  /** Marks and controls since this process began: a judge shows itself anew. */
  marked: number
  controls: number
}

export function openMarker(parts: MarkerParts): Marker {
  const lines = new Map<ModelName, Line>()
  const stop = new AbortController()

  function lineOf(model: ModelName): Line {
    const known = lines.get(model)
    if (known !== undefined) return known
    const line: Line = { waiting: [], nextAt: 0, marking: null, cancel: null, marked: 0, controls: 0 }
    lines.set(model, line)
    return line
  }

  function goOn(line: Line): void {
    if (line.marking !== null || line.cancel !== null || stop.signal.aborted || line.waiting.length === 0) return
    const inMs = line.nextAt - parts.now()
    if (inMs > 0) {
      line.cancel = parts.setTimer(inMs, () => {
        line.cancel = null
        goOn(line)
      })
      return
    }
    const sample = line.waiting.pop()
    if (sample === undefined) return
    line.marking = mark(line, sample)
      .catch(error => {
        if (!stop.signal.aborted) parts.onProblem('An answer could not be marked; it counts for nothing.', error)
      })
      .finally(() => {
        line.marking = null
        goOn(line)
      })
  }

  async function mark(line: Line, sample: LiveSample): Promise<void> {
    const wish = parts.wishOf(sample.model)
    // The spec may have changed since, and the key goes with the process.
    const texts = wish === null ? null : parts.open(sample)
    if (wish === null || texts === null) return
    line.nextAt = parts.now() + hourMs / wish.perHour
    const judge = parts.judgeOf(wish.judge)
    // `mayCopy` let plain conversations through, and nothing else is sealed.
    const messages = texts.messages as ChatMessage[]
    const given = await markAnswer(judge, { messages, answer: texts.answer }, stop.signal)
    if (given.calls === 0) throw new Error(`${wish.judge} gave no mark: ${given.reason}`)
    line.marked++
    const control = await askControl(line, { judge, messages, answer: texts.answer })
    const { id: request, model, version } = sample
    await parts.store.add({
      ...{ request, model, version, control },
      ...{ mark: given.mark, calls: given.calls, unparsable: given.unparsable },
      at: parts.now(),
      judge: { name: judge.name, digest: judge.digest, prompt: promptVersions.rubric },
    })
  }

  async function askControl(
    line: Line,
    { judge, messages, answer }: { judge: Judge; messages: ChatMessage[]; answer: string },
  ): Promise<ControlResult | null> {
    if (!isFairCounterpart(answer) || !isControlDue(line.marked, line.controls)) return null
    return markControl(judge, { messages }, { turn: line.controls++, signal: stop.signal })
  }

  return {
    take(samples) {
      for (const sample of samples) {
        // Nobody marks a model that the spec does not say so of.
        if (parts.wishOf(sample.model) === null) continue
        const line = lineOf(sample.model)
        line.waiting.push(sample)
        line.waiting.splice(0, Math.max(0, line.waiting.length - mostWaiting))
        goOn(line)
      }
    },
    async close() {
      stop.abort(new Error('the controller stops'))
      for (const line of lines.values()) {
        line.waiting.length = 0
        line.cancel?.()
      }
      await Promise.all([...lines.values()].map(({ marking }) => marking))
    },
  }
}
