/** Asks a judge: pairs in both orders, marks, claims; pins what it was, and puts questions to it whose answer is known. */
import type { ChatMessage } from '../../domain/dialect/index.ts'
import {
  buildClaimsPrompt,
  buildPairPrompt,
  buildRubricPrompt,
  combineVerdicts,
  identicalOutcome,
  isControlDue,
  isFairCounterpart,
  median,
  pickControl,
  promptVersions,
  readClaims,
  readMark,
  readPairVerdict,
  recordControl,
  recordPair,
  type ClaimsReading,
  type ControlResult,
  type GivenAnswer,
  type JudgePin,
  type JudgePrompt,
  type JudgeRecord,
  type PairOutcome,
} from '../../domain/evaluation/index.ts'
import { askAgain } from './ask-again.ts'
import type { Ask } from './ports.ts'

export type Judge = {
  ask: Ask
  /** As verdicts remember it; `digest` where the version is known. */
  name: string
  digest: string | null
  seed: number
  /** Unpredictable, another one each time. */
  nonce: () => string
}

export type Pair = {
  messages: readonly ChatMessage[]
  live: string
  candidate: string
  reference?: string | null
  context?: string | null
}

/** `control`: the one that was put to the judge beside it. */
export type JudgedPair = { outcome: PairOutcome; record: JudgeRecord; control: ControlResult | null; pin: JudgePin }

/**
 * Compares two answers, and now and then puts a control to the judge; `record` comes back with all of it. Only `signal`
 * makes it reject. Texts are kept nowhere.
 */
export async function judgePair(
  judge: Judge,
  pair: Pair,
  { record, signal }: { record: JudgeRecord; signal: AbortSignal },
): Promise<JudgedPair> {
  const pin = pinOf(judge, promptVersions.pair)
  const { live, candidate } = pair
  const outcome = identicalOutcome(live, candidate) ?? (await compare(judge, pair, signal))
  const recorded = recordPair(record, outcome, candidate.length - live.length)
  if (outcome.kind !== 'judged' || !isFairCounterpart(live)) return { outcome, record: recorded, control: null, pin }
  const turn = recorded.controls['off-topic'].asked + recorded.controls.injected.asked
  if (!isControlDue(recorded.pairs, turn)) return { outcome, record: recorded, control: null, pin }
  const control = await askControl(judge, pair, { turn, signal })
  return {
    outcome,
    record: control === null ? recorded : recordControl(recorded, control),
    control,
    pin,
  }
}

export type Marked = {
  /** 1 to 10, not rounded; `null`: the judge gave none. */
  mark: number | null
  reason: string
  calls: number
  unparsable: number
}
export type ToMark = {
  messages: readonly ChatMessage[]
  answer: string
  rubric?: string | null
  context?: string | null
}

/** With chances of tokens one question is enough; without them the median of three, each in other wrappings. */
export async function markAnswer(judge: Judge, subject: ToMark, signal: AbortSignal): Promise<Marked> {
  const marks: { mark: number; reason: string }[] = []
  let calls = 0
  let unparsable = 0
  let failed = ''
  for (let sample = 0; sample < 3; sample++) {
    const prompt = buildRubricPrompt({ ...subject, nonce: judge.nonce() })
    const tried = await put(judge, prompt, { seed: judge.seed + sample, chances: sample === 0, signal })
    if (!tried.ok) {
      failed = tried.why
      break
    }
    calls++
    const reading = readMark(tried.value.text, tried.value.tokens)
    if (reading.kind === 'unparsable') {
      unparsable++
      failed = reading.why
    } else marks.push(reading)
    if (reading.kind === 'mark' && tried.value.tokens !== null) break
  }
  const [first] = marks
  if (first === undefined) return { mark: null, reason: failed, calls, unparsable }
  return { mark: median(marks.map(({ mark }) => mark)), reason: first.reason, calls, unparsable }
}

/** `null`: the judge did not answer. */
export async function findClaims(
  judge: Judge,
  subject: { messages: readonly ChatMessage[]; answer: string; context: string },
  signal: AbortSignal,
): Promise<ClaimsReading | null> {
  const prompt = buildClaimsPrompt({ ...subject, nonce: judge.nonce() })
  const tried = await put(judge, prompt, { seed: judge.seed, chances: false, signal })
  return tried.ok ? readClaims(tried.value.text) : null
}

/** A mark for an answer that deserves a low one. `null`: the judge did not answer. */
export async function markControl(
  judge: Judge,
  subject: { messages: readonly ChatMessage[]; rubric?: string | null },
  { turn, signal }: { turn: number; signal: AbortSignal },
): Promise<ControlResult | null> {
  const { kind, text } = pickControl(turn)
  const { mark, calls } = await markAnswer(judge, { ...subject, answer: text }, signal)
  if (calls === 0) return null
  if (mark === null) return { kind, result: 'unparsable' }
  return { kind, result: mark <= highestForControl ? 'passed' : 'missed' }
}

/** The anchors say 1 for an answer about something else; the judge is given some room. */
const highestForControl = 4

export const pinOf = (judge: Judge, prompt: string): JudgePin => ({
  judge: judge.name,
  digest: judge.digest,
  prompt,
  temperature: 0,
  seed: judge.seed,
})

async function compare(judge: Judge, pair: Pair, signal: AbortSignal): Promise<PairOutcome> {
  const { live, candidate, ...rest } = pair
  const ask = (slotA: string, slotB: string) =>
    put(judge, buildPairPrompt({ ...rest, slotA, slotB, nonce: judge.nonce() }), {
      seed: judge.seed,
      chances: false,
      signal,
    })
  const [liveFirst, candidateFirst] = await Promise.all([ask(live, candidate), ask(candidate, live)])
  if (!liveFirst.ok) return { kind: 'not-judged', why: liveFirst.why }
  if (!candidateFirst.ok) return { kind: 'not-judged', why: candidateFirst.why }
  return combineVerdicts({
    liveFirst: readPairVerdict(liveFirst.value.text),
    candidateFirst: readPairVerdict(candidateFirst.value.text),
  })
}

async function askControl(
  judge: Judge,
  { messages, live, reference = null, context = null }: Pair,
  { turn, signal }: { turn: number; signal: AbortSignal },
): Promise<ControlResult | null> {
  const { kind, text } = pickControl(turn)
  // Both kinds stand in both slots, in turn.
  const realSlot = (turn >> 1) % 2 === 0 ? 'A' : 'B'
  const [slotA, slotB] = realSlot === 'A' ? [live, text] : [text, live]
  const prompt = buildPairPrompt({ messages, reference, context, slotA, slotB, nonce: judge.nonce() })
  const tried = await put(judge, prompt, { seed: judge.seed, chances: false, signal })
  if (!tried.ok) return null
  const reading = readPairVerdict(tried.value.text)
  if (reading.kind === 'unparsable') return { kind, result: 'unparsable' }
  return { kind, result: reading.verdict.winner === realSlot ? 'passed' : 'missed' }
}

type Put = { seed: number; chances: boolean; signal: AbortSignal }

function put({ ask }: Judge, { messages, schema, maxTokens }: JudgePrompt, { seed, chances, signal }: Put) {
  return askAgain<GivenAnswer>(
    () => ask(messages, { seed, signal, temperature: 0, maxTokens, schema, chances }),
    signal,
  )
}
