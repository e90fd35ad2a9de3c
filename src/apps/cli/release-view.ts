/** A release as a person reads it in a terminal. */
import { renderTable } from './output.ts'

export type ReleaseView = {
  id: string
  model: string
  from: string
  to: string
  policy: string | null
  phase: string
  step: number
  steps: number[]
  share: number
  verdict: string
  why: string
  gates: {
    name: string
    verdict: string
    eValue?: number | undefined
    threshold?: number | undefined
    notWorse?: { eValue: number; threshold: number } | undefined
    needed?: number | undefined
    evidence: string
  }[]
  startedAt: string
  since: string
  by: { who: string; alias: string | null; reason: string }
  origin: string
  same: boolean
}

const barWidth = 30

export function renderRelease(release: ReleaseView): string {
  const { model, from, to, policy, phase, share, verdict, why, gates, by, since, same } = release
  const filled = Math.round(share * barWidth)
  return [
    `${model}: ${from}`,
    `${' '.repeat(model.length)}  → ${to}${same ? '  (the same version under two names)' : ''}`,
    `phase    ${phaseOf(release)} since ${since}`,
    `share    ${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} ${percent(share)}`,
    `verdict  ${verdict}: ${why}`,
    `policy   ${policy ?? 'none'}, by ${by.alias ?? by.who}: ${by.reason}`,
    ...(gates.length === 0
      ? []
      : [
          '',
          renderTable(
            ['GATE', 'VERDICT', 'WORSE', 'FAILS AT', 'NOT WORSE', 'PASSES AT', 'NEEDED', 'EVIDENCE'],
            gates.map(gateRow),
          ),
        ]),
    ...(phase === 'held' ? ['', `It waits for you: holdfast release resume|promote|abort ${model} --reason …`] : []),
  ].join('\n')
}

function phaseOf({ phase, step, steps }: ReleaseView): string {
  if (phase !== 'canary') return phase
  return `canary, step ${step} of ${steps.length} (${steps.map(percent).join(', ')})`
}

const gateRow = ({
  name,
  verdict,
  eValue,
  threshold,
  notWorse,
  needed,
  evidence,
}: ReleaseView['gates'][number]): string[] => [
  name,
  verdict,
  eValue === undefined ? '-' : short(eValue),
  threshold === undefined ? '-' : short(threshold),
  notWorse === undefined ? '-' : short(notWorse.eValue),
  notWorse === undefined ? '-' : short(notWorse.threshold),
  needed === undefined ? '-' : String(needed),
  evidence,
]

const short = (value: number): string =>
  value >= 10_000 ? value.toExponential(1) : String(Number(value.toPrecision(3)))
export const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`
