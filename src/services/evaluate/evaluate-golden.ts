/** Runs a golden set: asks the arms, checks their answers, asks the judge, and has the domain decide. */
import {
  admitScoreJudge,
  checkAnswer,
  checkMark,
  checkSimilar,
  cosine,
  decideGolden,
  openScoreRecord,
  promptVersions,
  recordControl,
  recordScore,
  renderAnswer,
  wordSimilarity,
  type CaseRow,
  type CheckResult,
  type ClaimsReading,
  type GivenAnswer,
  type GoldenCase,
  type GoldenOutcome,
  type GoldenRun,
  type GoldenSet,
  type JudgePin,
  type ScoreRecord,
  type Similarity,
  type Trial,
} from '../../domain/evaluation/index.ts'
import { askAgain } from './ask-again.ts'
import { findClaims, markAnswer, markControl, pinOf, type Judge } from './judge.ts'
import type { Ask, Embed } from './ports.ts'

export type GoldenEvaluation = {
  set: GoldenSet
  /** `live`: answers of an earlier run, by case, or somebody to ask now; left out: the candidate stands alone. */
  arms: { live?: Ask | ReadonlyMap<string, readonly Trial[]>; candidate: Ask }
  standard: GoldenRun['standard']
  /** Left out: what needs a judge is not measured. */
  judge?: Judge
  /** Left out: closeness is lexical, and says so. */
  embed?: Embed
  /** For cases that do not say it themselves. */
  repeats: number
  /** Answers awaited at once. */
  concurrency: number
  /** The same for both arms; each repeat has the next one. */
  seed: number
  temperature?: number
  maxTokens?: number
  signal: AbortSignal
  onProgress?: (progress: Progress) => void
}
export type Progress = { done: number; all: number; what: 'answers' | 'controls' }

export type GoldenResult = {
  outcome: GoldenOutcome
  rows: readonly CaseRow[]
  judge: { pin: JudgePin; record: ScoreRecord } | null
  /** Who answered, as the arms said it. */
  versions: { live: readonly string[]; candidate: readonly string[] }
}

type Arm = 'live' | 'candidate'
type Unit = { golden: GoldenCase; arm: Arm; repeat: number }

const controls = 6

/** Rejects only as `signal` says. */
export async function evaluateGolden(run: GoldenEvaluation): Promise<GoldenResult> {
  const { set, arms, judge, signal, onProgress } = run
  const live = arms.live
  const asked: Arm[] = typeof live === 'function' ? ['live', 'candidate'] : ['candidate']
  const units = set.cases.flatMap(golden =>
    Array.from({ length: golden.repeats ?? run.repeats }, (_, repeat) =>
      asked.map(arm => ({ golden, arm, repeat })),
    ).flat(),
  )
  const trials = new Map<string, Trial[]>()
  const versions = { live: new Set<string>(), candidate: new Set<string>() }
  let record = openScoreRecord()
  let done = 0

  async function runUnit({ golden, arm, repeat }: Unit): Promise<void> {
    const ask = arm === 'live' && typeof live === 'function' ? live : arms.candidate
    const tried = await askAgain(() => ask(golden.messages, optionsOf(golden, repeat)), signal)
    let trial: Trial
    if (tried.ok) {
      if (tried.value.version !== null) versions[arm].add(tried.value.version)
      trial = await look(golden, tried.value)
    } else trial = { kind: 'failed', why: tried.why }
    const kept = trials.get(`${arm} ${golden.id}`) ?? []
    kept[repeat] = trial
    trials.set(`${arm} ${golden.id}`, kept)
    onProgress?.({ done: ++done, all: units.length, what: 'answers' })
  }

  function optionsOf(golden: GoldenCase, repeat: number) {
    return {
      ...(run.temperature === undefined ? {} : { temperature: run.temperature }),
      ...(run.maxTokens === undefined ? {} : { maxTokens: run.maxTokens }),
      ...(golden.tools.length === 0 ? {} : { tools: golden.tools }),
      seed: run.seed + repeat,
      signal,
    }
  }

  async function look(golden: GoldenCase, given: GivenAnswer): Promise<Trial> {
    const answer = renderAnswer(given)
    const [similar, mark, claims] = [
      await lookSimilar(golden, given.text),
      await lookMark(golden, answer),
      await lookClaims(golden, answer),
    ]
    return {
      kind: 'answered',
      answer,
      checks: [...checkAnswer(golden.expect, given), ...similar, ...mark],
      claims,
      cut: given.finish === 'length',
      latencyMs: given.latencyMs,
    }
  }

  async function lookSimilar({ expect }: GoldenCase, text: string): Promise<CheckResult[]> {
    if (expect.similar === undefined) return []
    const found = await similarityOf(expect.similar.to, text)
    if (found.ok) return [checkSimilar(expect.similar, found.value)]
    return [{ check: 'similar', measured: false, why: `the embedding model did not answer: ${found.why}` }]
  }

  async function similarityOf(
    a: string,
    b: string,
  ): Promise<{ ok: true; value: Similarity } | { ok: false; why: string }> {
    const { embed } = run
    if (embed === undefined) return { ok: true, value: { value: wordSimilarity(a, b), by: 'words' } }
    const tried = await askAgain(() => embed([a, b], signal), signal)
    if (!tried.ok) return tried
    const [left = [], right = []] = tried.value
    return { ok: true, value: { value: cosine(left, right), by: 'embeddings' } }
  }

  async function lookMark(golden: GoldenCase, answer: string): Promise<CheckResult[]> {
    const { rubric } = golden.expect
    if (rubric === undefined) return []
    if (judge === undefined) return [{ check: 'rubric', measured: false, why: 'there is no judge' }]
    const { messages, context } = golden
    const marked = await markAnswer(judge, { messages, answer, rubric: rubric.criteria, context }, signal)
    record = recordScore(record, marked)
    if (marked.mark === null) return [{ check: 'rubric', measured: false, why: `not judged: ${marked.reason}` }]
    return [checkMark(rubric, marked.mark, marked.reason)]
  }

  async function lookClaims({ messages, context }: GoldenCase, answer: string): Promise<ClaimsReading | null> {
    if (context === null || judge === undefined) return null
    const reading = await findClaims(judge, { messages, answer, context }, signal)
    if (reading !== null) {
      const unparsable = Number(reading.kind === 'unparsable')
      record = { ...record, calls: record.calls + 1, unparsable: record.unparsable + unparsable }
    }
    return reading ?? { kind: 'unparsable', why: 'the judge did not answer' }
  }

  /** A judge that was needed has to show that it tells good from bad, and takes no orders from answers. */
  async function proveJudge(): Promise<void> {
    const judged = set.cases.filter(golden => golden.expect.rubric !== undefined || golden.context !== null)
    if (judge === undefined || judged.length === 0) return
    for (let turn = 0; turn < controls; turn++) {
      const golden = judged[turn % judged.length]
      if (golden === undefined) return
      const { messages, expect } = golden
      const control = await markControl(judge, { messages, rubric: expect.rubric?.criteria ?? null }, { turn, signal })
      if (control !== null) record = recordControl(record, control)
      onProgress?.({ done: turn + 1, all: controls, what: 'controls' })
    }
  }

  async function toRow(golden: GoldenCase): Promise<CaseRow> {
    const { id, cluster, critical, tags, expect } = golden
    const candidate = trials.get(`candidate ${id}`) ?? []
    const earlier = typeof live === 'function' ? trials.get(`live ${id}`) : live?.get(id)
    return {
      ...{ id, cluster, critical, tags, candidate },
      live: earlier ?? null,
      expects: Object.keys(expect).length > 0,
      closeness: await closenessOf(earlier?.[0], candidate[0]),
    }
  }

  async function closenessOf(a: Trial | undefined, b: Trial | undefined): Promise<Similarity | null> {
    if (a?.kind !== 'answered' || b?.kind !== 'answered') return null
    const found = await similarityOf(a.answer, b.answer)
    return found.ok ? found.value : null
  }

  await inTurn(units, run.concurrency, runUnit)
  await proveJudge()
  const rows: CaseRow[] = []
  for (const golden of set.cases) rows.push(await toRow(golden))
  const isJudged = judge !== undefined && record.calls + record.notJudged > 0
  const outcome = decideGolden({ rows, standard: run.standard, judge: isJudged ? admitScoreJudge(record) : null })
  return {
    outcome,
    rows,
    judge: isJudged ? { pin: pinOf(judge, `${promptVersions.rubric} ${promptVersions.claims}`), record } : null,
    versions: { live: [...versions.live].toSorted(), candidate: [...versions.candidate].toSorted() },
  }
}

/** So many at once, in order; the first failure ends all. */
async function inTurn<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker))
}
