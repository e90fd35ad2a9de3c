/** What a run of a golden set means: one verdict, its reasons, and how small a regression the set could have seen. Rules: V1–V12 in SPEC.md. */
import { toArmFigures, type ArmFigures } from './arm-figures.ts'
import { meanOf, standingOf, type CaseRow, type Reading, type Trial } from './golden-row.ts'
import type { Admissibility } from './judge/admissibility.ts'
import {
  mcnemar,
  mde,
  nonInferior,
  normalQuantile,
  pairedDifference,
  sampleSize,
  zeroFailuresBound,
} from './statistics/index.ts'

export type GoldenVerdict = 'pass' | 'fail' | 'inconclusive' | 'judge-inadmissible'

export type GoldenOutcome = {
  verdict: GoldenVerdict
  reasons: readonly string[]
  warnings: readonly string[]
  cases: number
  /** Cases with a score in both arms, where there are two. */
  compared: number
  arms: { live: ArmFigures | null; candidate: ArmFigures }
  difference: Difference | null
  /** Cases that only one arm passes, and McNemar's one-sided p that the candidate is no worse. */
  discordant: { worse: number; better: number; p: number } | null
  /** Critical cases that the live version passes and the candidate does not (alone: that it does not pass). */
  broken: readonly string[]
  closeness: { mean: number; by: 'embeddings' | 'words' } | null
  judge: Admissibility | null
}

/** Scores of the candidate less those of the live version. */
export type Difference = {
  mean: number
  /** The larger of the naive and the clustered one. */
  se: number
  clusters: number
  /** One-sided bounds of 95 %. */
  lower: number
  upper: number
  margin: number
  smallestSeen: number
}

export type GoldenRun = {
  rows: readonly CaseRow[]
  /** `against`: two arms are compared. `alone`: the candidate must pass `atLeast` of the cases. */
  standard: { kind: 'against'; margin: number } | { kind: 'alone'; atLeast: number }
  /** `null`: no judge was needed. */
  judge: Admissibility | null
}

const confidence = 0.95
const significance = 0.05
/** Unmeasured cases that a verdict bears. */
const mostUnmeasured = 0.05
const listed = 10

/** A judge that is not admissible neither passes nor fails: what it said is left out, and only what fails without it fails. */
export function decideGolden(run: GoldenRun): GoldenOutcome {
  const isJudged = run.rows.some(row => trialsOf(row).some(trial => hasJudgement(trial)))
  const whole = decide(run, { marks: true })
  if (!isJudged || run.judge === null || run.judge.kind === 'admissible') return withWarnings(whole, run)
  const { judge } = run
  const without = decide(run, { marks: false })
  if (without.verdict === 'fail') return withWarnings(without, run)
  const why =
    judge.kind === 'inadmissible'
      ? judge.why.map(each => `the judge may not judge: ${each}`)
      : [`the judge is not proven yet: ${judge.why}; ${judge.needed} more needed`]
  const verdict = judge.kind === 'inadmissible' ? 'judge-inadmissible' : 'inconclusive'
  return withWarnings({ ...without, verdict, reasons: why }, run)
}

function decide(run: GoldenRun, reading: Reading): GoldenOutcome {
  return run.standard.kind === 'alone'
    ? decideAlone(run, run.standard.atLeast, reading)
    : decideAgainst(run, run.standard.margin, reading)
}

function decideAlone({ rows, judge }: GoldenRun, atLeast: number, reading: Reading): GoldenOutcome {
  const expecting = rows.filter(row => row.expects)
  const standings = expecting.map(row => ({ row, passes: standingOf(row, row.candidate, reading).passes }))
  const failed = standings.filter(({ passes }) => passes === false).map(({ row }) => row.id)
  const unknown = standings.filter(({ passes }) => passes === null).map(({ row }) => row.id)
  const broken = standings.filter(({ row, passes }) => row.critical && passes === false).map(({ row }) => row.id)
  const candidate = toArmFigures(
    toRows(rows, row => row.candidate),
    reading,
  )
  const outcome = {
    ...{ warnings: [], cases: rows.length, compared: 0, difference: null, discordant: null, closeness: null },
    ...{ arms: { live: null, candidate }, broken, judge },
  }
  const tooFew = failed.length > (1 - atLeast) * expecting.length + 1e-9
  const bad = [
    ...(broken.length > 0 ? [`critical cases fail: ${list(broken)}`] : []),
    ...(tooFew
      ? [`${failed.length} of ${expecting.length} cases fail (${percent(atLeast)} must pass): ${list(failed)}`]
      : []),
  ]
  if (bad.length > 0) return { ...outcome, verdict: 'fail', reasons: bad }
  const open = [
    ...(expecting.length === 0 ? ['no case expects anything, so nothing was measured'] : []),
    ...(unknown.length > 0 ? [`${unknown.length} cases could not be measured: ${list(unknown)}`] : []),
  ]
  if (open.length > 0) return { ...outcome, verdict: 'inconclusive', reasons: open }
  const passed = `${expecting.length - failed.length} of ${expecting.length} cases pass`
  return { ...outcome, verdict: 'pass', reasons: [passed] }
}

function decideAgainst({ rows, judge }: GoldenRun, margin: number, reading: Reading): GoldenOutcome {
  const missing = rows.filter(row => row.live === null).map(row => row.id)
  const pairs = rows
    .flatMap(row => (row.live === null ? [] : [{ row, live: row.live }]))
    .map(({ row, live }) => ({
      row,
      live: standingOf(row, live, reading),
      candidate: standingOf(row, row.candidate, reading),
    }))
  const scored = pairs.flatMap(({ row, live, candidate }) =>
    live.score === null || candidate.score === null ? [] : [{ d: candidate.score - live.score, cluster: row.cluster }],
  )
  const unmeasured = pairs
    .filter(({ row, live, candidate }) => row.expects && (live.score === null || candidate.score === null))
    .map(({ row }) => row.id)
  const broken = pairs
    .filter(({ row, live, candidate }) => row.critical && live.passes === true && candidate.passes === false)
    .map(({ row }) => row.id)
  const worse = pairs.filter(({ live, candidate }) => live.passes === true && candidate.passes === false).length
  const better = pairs.filter(({ live, candidate }) => live.passes === false && candidate.passes === true).length
  const difference = toDifference(scored, margin)
  const discordant = { worse, better, p: mcnemar(worse, better) }
  const claims = claimsShownWorse(rows)
  const outcome = {
    ...{ warnings: [], cases: rows.length, compared: scored.length, difference, discordant, broken, judge },
    arms: {
      live: toArmFigures(
        toRows(rows, row => row.live ?? []),
        reading,
      ),
      candidate: toArmFigures(
        toRows(rows, row => row.candidate),
        reading,
      ),
    },
    closeness: closenessOf(rows),
  }
  const bad = [
    ...(broken.length > 0 ? [`critical cases that the live version passes fail: ${list(broken)}`] : []),
    ...(discordant.p <= significance && (worse - better) / Math.max(1, pairs.length) > margin
      ? [
          `${worse} cases that the live version passes fail, ${better} the other way round (McNemar p ${shortP(discordant.p)})`,
        ]
      : []),
    ...(difference !== null && difference.upper < 0 && difference.lower <= -margin
      ? [
          `its scores are lower by ${points(-difference.mean)} (95 % sure of more than ${points(-difference.upper)}; margin ${points(margin)})`,
        ]
      : []),
    ...(reading.marks && claims !== null ? [claims] : []),
  ]
  if (bad.length > 0) return { ...outcome, verdict: 'fail', reasons: bad }
  const open = [
    ...(missing.length > 0 ? [`${missing.length} cases are not in the baseline: ${list(missing)}`] : []),
    ...tooManyUnmeasured(
      unmeasured,
      pairs.filter(({ row }) => row.expects && row.critical).map(({ row }) => row.id),
      rows,
    ),
    ...(scored.length === 0 ? ['no case has a score in both arms, so nothing was compared'] : []),
    ...notShown(scored, difference),
  ]
  if (open.length > 0) return { ...outcome, verdict: 'inconclusive', reasons: open }
  return { ...outcome, verdict: 'pass', reasons: [passedBy(difference)] }
}

type Scored = readonly { d: number; cluster: string }[]

function toDifference(scored: Scored, margin: number): Difference | null {
  if (scored.length === 0) return null
  const { mean, se: naive, clusteredSe } = pairedDifference(scored)
  const clusters = new Set(scored.map(row => row.cluster)).size
  const se = Math.max(naive, Number.isNaN(clusteredSe) ? 0 : clusteredSe)
  const reach = normalQuantile(confidence) * se
  return {
    ...{ mean, se, clusters, margin, lower: mean - reach, upper: mean + reach },
    // Where nothing varied the error is 0, and a regression of rarer than 3 in n cases would still not have been seen.
    smallestSeen: Math.max(mde(se), zeroFailuresBound(scored.length)),
  }
}

function notShown(scored: Scored, difference: Difference | null): string[] {
  if (difference === null) return []
  const { mean, se, margin } = difference
  if (Number.isNaN(se)) return ['one case alone tells nothing of others: add cases']
  if (nonInferior({ mean, se, margin, confidence }).passes) return []
  const needed = sampleSize({ sd: se * Math.sqrt(scored.length), difference: margin })
  const enough = margin > 0 ? ` About ${needed} such cases would tell.` : ''
  return [
    `it may be worse by up to ${points(-difference.lower)}, and the margin is ${points(margin)}: the set is too small to tell.${enough}`,
  ]
}

function passedBy(difference: Difference | null): string {
  if (difference === null) return 'nothing differs'
  const { lower, margin, se, smallestSeen } = difference
  // Nothing varied, so the error says 0: nobody is as sure as that of the cases that were not asked.
  if (se === 0 && smallestSeen > margin)
    return `every case scores as with the live version; what is rarer than ${percent(smallestSeen)} of cases would not show in so few`
  const most = lower >= 0 ? 'no worse' : `at most ${points(-lower)} worse`
  return `it is ${most} than the live version (95 % sure; margin ${points(margin)})`
}

/** Unsupported claims of each case's answers, paired: told when the candidate surely makes more of them. */
function claimsShownWorse(rows: readonly CaseRow[]): string | null {
  const scored = rows.flatMap(row => {
    const [live, candidate] = [unsupportedShare(row.live ?? []), unsupportedShare(row.candidate)]
    return live === null || candidate === null ? [] : [{ d: live - candidate, cluster: row.cluster }]
  })
  const difference = toDifference(scored, 0)
  if (difference === null || !(difference.upper < 0) || scored.length < 5) return null
  return `it claims more that its context does not support: ${points(-difference.mean)} more of its claims (95 % sure of more than ${points(-difference.upper)})`
}

function unsupportedShare(trials: readonly Trial[]): number | null {
  const shares = trials.flatMap(trial => {
    if (trial.kind !== 'answered' || trial.claims?.kind !== 'claims') return []
    const { supported, unsupported } = trial.claims
    return [unsupported.length / (supported + unsupported.length)]
  })
  return shares.length === 0 ? null : meanOf(shares)
}

function tooManyUnmeasured(
  unmeasured: readonly string[],
  critical: readonly string[],
  rows: readonly CaseRow[],
): string[] {
  const lost = unmeasured.filter(id => critical.includes(id))
  if (lost.length > 0) return [`critical cases could not be measured: ${list(lost)}`]
  const expecting = rows.filter(row => row.expects).length
  return unmeasured.length > mostUnmeasured * expecting
    ? [`${unmeasured.length} of ${expecting} cases could not be measured: ${list(unmeasured)}`]
    : []
}

function closenessOf(rows: readonly CaseRow[]): GoldenOutcome['closeness'] {
  const known = rows.flatMap(({ closeness }) =>
    closeness === null || Number.isNaN(closeness.value) ? [] : [closeness],
  )
  const [first] = known
  return first === undefined ? null : { mean: meanOf(known.map(({ value }) => value)), by: first.by }
}

function withWarnings(outcome: GoldenOutcome, { rows, judge }: GoldenRun): GoldenOutcome {
  const { difference, arms } = outcome
  const silent = rows.filter(row => !row.expects).length
  const alike = rows
    .filter(row => row.critical && row.live !== null)
    .filter(row => bothFail(row))
    .map(row => row.id)
  const warnings = [
    ...(difference !== null && difference.smallestSeen > difference.margin
      ? [
          `This set can’t see regressions smaller than ${points(difference.smallestSeen)}; the margin is ${points(difference.margin)}. More cases see more.`,
        ]
      : []),
    ...(difference !== null && difference.clusters === 1 && outcome.compared > 1
      ? ['All cases are of one tag or conversation: what they have in common counts as chance.']
      : []),
    ...(alike.length > 0 ? [`Critical cases that neither version passes: ${list(alike)}.`] : []),
    ...(silent > 0 ? [`${silent} cases expect nothing; only their stability was looked at.`] : []),
    ...(arms.candidate.failed > 0 ? [`${arms.candidate.failed} answers did not come: they count as failed.`] : []),
    ...(arms.live !== null && arms.live.failed > 0
      ? [
          `${arms.live.failed} answers of the live version did not come: its failures make the candidate look better than it is.`,
        ]
      : []),
    ...(judge?.kind === 'admissible' ? judge.warnings.map(warning => `The judge: ${warning}.`) : []),
  ]
  return { ...outcome, warnings }
}

function bothFail(row: CaseRow): boolean {
  return [row.live ?? [], row.candidate].every(trials => standingOf(row, trials, { marks: true }).passes === false)
}

const toRows = (rows: readonly CaseRow[], pick: (row: CaseRow) => readonly Trial[]) =>
  rows.map(row => ({ row, trials: pick(row) }))
const trialsOf = (row: CaseRow): readonly Trial[] => [...(row.live ?? []), ...row.candidate]
const hasJudgement = (trial: Trial): boolean =>
  trial.kind === 'answered' && (trial.claims !== null || trial.checks.some(result => result.check === 'rubric'))

const percent = (share: number): string => `${Number((share * 100).toFixed(1))} %`
const points = (share: number): string => `${Number((share * 100).toFixed(1))} points`
const shortP = (p: number): string => (p < 0.001 ? '< 0.001' : p.toFixed(3))
const list = (ids: readonly string[]): string =>
  ids.length <= listed ? ids.join(', ') : `${ids.slice(0, listed).join(', ')} and ${ids.length - listed} more`
