/** What a comparison shows to people: the loss in words, how sure it is, and what would make it surer. */
import { spellQuantisation, toQuantisation } from '../../../domain/catalog/index.ts'
import type { Comparison } from '../../../services/compare/index.ts'
import type { Inspection } from '../../../services/inspect-model.ts'
import { renderTable } from '../output.ts'
import type { GoldenComparison } from './compare-golden.ts'

export type Measured = {
  reference: Inspection
  other: Inspection
  loss: Comparison | null
  golden: GoldenComparison | null
  textFile: string | null
  /** Percent; `null`: nobody asked. */
  worst: number | null
  isWithin: boolean | null
}

export function renderComparison(measured: Measured): string {
  const { reference, other, loss, golden } = measured
  const names = [reference, other].map(({ source, quantisation }) => [source, spell(quantisation?.name ?? '?')])
  const rows = [reference, other].map(({ quantisation, bytes }, at) => [
    ...(names[at] ?? []),
    quantisation?.bitsPerWeight.toFixed(2) ?? '-',
    `${(bytes / 1e6).toFixed(1)} MB`,
    ...(loss === null ? [] : [(at === 0 ? loss.perplexity.reference : loss.perplexity.other).toFixed(4)]),
  ])
  const head = ['MODEL', 'QUANTISATION', 'BITS', 'SIZE', ...(loss === null ? [] : ['PERPLEXITY'])]
  return [
    renderTable(head, rows),
    '',
    ...(loss === null ? [] : sayLoss(loss, measured)),
    ...(golden === null ? [] : sayGolden(golden, measured)),
  ].join('\n')
}

function sayLoss(comparison: Comparison, { other, worst, isWithin, textFile }: Measured): string[] {
  const { loss, divergence, sameTop, windows, context, tokens, text, windowsForOnePercent } = comparison
  const name = spell(other.quantisation?.name ?? other.source)
  const on = `on ${textFile} (${windows} windows of ${context} tokens, ${tokens} scored)`
  const needed = windowsForOnePercent ?? 0
  const bytesEach = (text.bytes / text.tokens) * context
  return [
    `${name} ${verdict(loss)} ${on}; the interval is 95 %, paired by window.`,
    `Its chances diverge from the reference by ${divergence.mean.toFixed(4)} nats a token (${divergence.lower.toFixed(4)} to ${divergence.upper.toFixed(4)}), 99 of 100 tokens by less than ${divergence.p99.toFixed(3)}; the likeliest token is the same in ${percent(sameTop)}.`,
    ...(needed > windows
      ? [
          `A loss of 1 % might go unseen here: to show it takes about ${needed} windows, ${Math.ceil((needed * bytesEach) / 1000)} kB of such text.`,
        ]
      : []),
    ...(worst === null
      ? []
      : [
          isWithin === true
            ? `Within --worst ${worst} %.`
            : `Not within --worst ${worst} %: the loss may be as large as ${percent(loss.upper)}.`,
        ]),
  ]
}

function verdict({ mean, lower, upper }: Comparison['loss']): string {
  if (lower === 0 && upper === 0) return 'costs nothing: both give every token the same chance'
  const interval = `${number(lower)} to ${percent(upper)}`
  if (lower > 0) return `costs ${percent(mean)} of perplexity (${interval})`
  if (upper < 0)
    return `is better by ${percent(-mean)} of perplexity (${interval} lost), which is chance or another kind of change,`
  return `shows no loss of perplexity: ${percent(mean)} (${interval})`
}

function sayGolden({ set, outcome }: GoldenComparison, { other }: Measured): string[] {
  const { discordant, difference, compared, verdict: found, reasons } = outcome
  const name = spell(other.quantisation?.name ?? other.source)
  const counts =
    discordant === null
      ? `${compared} cases were compared`
      : `of ${compared} cases that both answered ${name} lost ${discordant.worse} and won ${discordant.better}`
  const interval =
    difference === null
      ? ''
      : `; difference of scores ${signed(difference.mean)} (${signed(difference.lower)} to ${signed(difference.upper)}, one-sided bounds of 95 %), and a regression of ${percent(difference.smallestSeen)} is the smallest that it could see`
  // The gate's words are those of a release.
  const why = reasons.join('; ').replaceAll('the live version', 'the reference')
  return [`Golden set ${set}: ${counts}${interval}.`, `Golden verdict: ${found}: ${why}.`]
}

/** A quantisation as files spell it; what is no known one stays as it is. */
function spell(name: string): string {
  const token = toQuantisation(name)
  return token === null ? name : spellQuantisation(token)
}

/** Two digits that count, so that 0.04 % is not nothing. */
const number = (share: number): string => {
  const percents = share * 100
  return Math.abs(percents) >= 1 || percents === 0 ? percents.toFixed(1) : String(Number(percents.toPrecision(2)))
}
const percent = (share: number): string => `${number(share)} %`
const signed = (value: number): string => (Number.isFinite(value) ? `${value < 0 ? '' : '+'}${value.toFixed(3)}` : '-')
