/** `/api/v1/quality`: marks that a judge gave to answers that clients got, and people's thumbs, by version. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ModelQuality } from '../../domain/quality/index.ts'
import { modelName, type Instant, type ModelName } from '../../domain/units.ts'
import { answers, Duration, toIso } from './schemas.ts'

export type QualityAdmin = {
  /** `cut`: there was more than is read at once, and the oldest is left out. */
  read(ask: {
    model?: ModelName
    sinceMs: number
    by: 'version' | 'day'
  }): Promise<{ since: Instant; models: ModelQuality[]; cut: boolean }>
}

const interval = z.tuple([z.number(), z.number()]).nullable()
const Week = z.object({ n: z.number(), mean: z.number().nullable() })
const QualityAnswer = z.object({
  since: z.string(),
  cut: z.boolean().describe('There is more than is read at once: the oldest is left out.'),
  models: z.array(
    z.object({
      model: z.string(),
      rows: z.array(
        z.object({
          version: z.string(),
          day: z.string().nullable().describe('The day (UTC); null: the whole span.'),
          n: z.number().describe('Marks that could be read.'),
          mean: z.number().nullable().describe('Of the marks, 1 to 10.'),
          interval: interval.describe('Of the mean, 95 %; null: fewer than 10 marks.'),
          unread: z.number().describe('Answers whose mark could not be read.'),
          up: z.number().describe('People who were content.'),
          down: z.number(),
        }),
      ),
      trend: z
        .object({
          verdict: z.enum(['better', 'worse', 'no-difference-shown', 'too-few', 'judge-inadmissible']),
          last: Week,
          before: Week,
          interval: interval.describe('Of the difference, 95 %, at any time it is looked at.'),
          why: z.string(),
        })
        .describe('The last 7 days beside the 7 before.'),
      judge: z
        .object({
          name: z.string(),
          digest: z.string().nullable(),
          prompt: z.string(),
          admissible: z.boolean().nullable().describe('null: it has not proved itself yet.'),
          why: z.string(),
          warnings: z.array(z.string()),
        })
        .nullable(),
      otherJudges: z.number().describe('Marks by judges before this one, which are left out.'),
    }),
  ),
})
const Ask = z.object({
  model: z.string().min(1).max(256).optional(),
  since: Duration.default(Duration.parse('7d')).describe('How long ago it begins: 7d, 12h.'),
  by: z.enum(['version', 'day']).default('version').describe('`day`: by version and day.'),
})
const tags = ['quality']

export const qualityRoutes =
  ({ quality }: { quality: QualityAdmin }): FastifyPluginAsyncZod =>
  async app => {
    app.get(
      '/quality',
      { schema: { tags, querystring: Ask, response: answers(200, QualityAnswer) } },
      async ({ query: { model, since: sinceMs, by } }) => {
        const { since, models, cut } = await quality.read({
          ...{ sinceMs, by },
          ...(model === undefined ? {} : { model: modelName(model) }),
        })
        return { since: toIso(since), cut, models: models.map(toAnswer) }
      },
    )
  }

function toAnswer({
  model,
  rows,
  trend,
  judge,
  otherJudges,
}: ModelQuality): z.output<typeof QualityAnswer>['models'][0] {
  return {
    model,
    rows: rows.map(row => ({
      ...row,
      day: row.day === null ? null : toIso(row.day).slice(0, 10),
      interval: toPair(row.interval),
    })),
    trend: { ...trend, interval: toPair(trend.interval) },
    judge: judge === null ? null : toJudge(judge),
    otherJudges,
  }
}

function toJudge({ admissibility, warnings, ...pin }: NonNullable<ModelQuality['judge']>) {
  switch (admissibility.kind) {
    case 'admissible':
      return { ...pin, admissible: true, why: '', warnings: [...warnings, ...admissibility.warnings] }
    case 'inadmissible':
      return { ...pin, admissible: false, why: admissibility.why.join('; '), warnings }
    case 'unproven':
      return { ...pin, admissible: null, why: admissibility.why, warnings }
    default:
      return admissibility satisfies never
  }
}

const toPair = (of: readonly [number, number] | null): [number, number] | null => (of === null ? null : [...of])
