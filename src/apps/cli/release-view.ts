/** A release as a person reads it in a terminal. */
import { z } from 'zod'
import { percent, renderTable } from './output.ts'

const Gate = z.object({
  name: z.string(),
  verdict: z.string(),
  eValue: z.number().optional(),
  threshold: z.number().optional(),
  notWorse: z.object({ eValue: z.number(), threshold: z.number() }).optional(),
  needed: z.number().optional(),
  evidence: z.string(),
})
/** As `/api/v1/releases` answers. */
export const ReleaseView = z.object({
  id: z.string(),
  model: z.string(),
  from: z.string(),
  to: z.string(),
  policy: z.string().nullable(),
  phase: z.string(),
  step: z.number(),
  steps: z.array(z.number()),
  share: z.number(),
  verdict: z.string(),
  why: z.string(),
  gates: z.array(Gate),
  startedAt: z.string(),
  since: z.string(),
  by: z.object({ who: z.string(), alias: z.string().nullable(), reason: z.string() }),
  origin: z.string(),
  same: z.boolean(),
})
export type ReleaseView = z.output<typeof ReleaseView>

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
