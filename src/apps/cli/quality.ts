/** `holdfast quality`: what a judge and what people think of the answers that clients get. */
import type { Command } from 'commander'
import { z } from 'zod'
import { openClient } from './client.ts'
import { examples, processIo, type CliIo } from './output.ts'
import { renderQuality, type QualityView } from './quality-view.ts'

const Row = z.object({
  version: z.string(),
  day: z.string().nullable(),
  n: z.number(),
  mean: z.number().nullable(),
  interval: z.tuple([z.number(), z.number()]).nullable(),
  unread: z.number(),
  up: z.number(),
  down: z.number(),
})
const Week = z.object({ n: z.number(), mean: z.number().nullable() })
const Quality = z.object({
  since: z.string(),
  cut: z.boolean(),
  models: z.array(
    z.object({
      model: z.string(),
      rows: z.array(Row),
      trend: z.object({
        verdict: z.string(),
        last: Week,
        before: Week,
        interval: z.tuple([z.number(), z.number()]).nullable(),
        why: z.string(),
      }),
      judge: z
        .object({
          name: z.string(),
          digest: z.string().nullable(),
          prompt: z.string(),
          admissible: z.boolean().nullable(),
          why: z.string(),
          warnings: z.array(z.string()),
        })
        .nullable(),
      otherJudges: z.number(),
    }),
  ),
}) satisfies z.ZodType<QualityView>

export function registerQuality(program: Command, io: CliIo = processIo): void {
  program
    .command('quality')
    .description('Marks that a judge gave to live answers, and people’s thumbs, by version; and whether they change.')
    .argument('[model]', 'Only this one.')
    .option('--since <time>', 'How long ago it begins: 12h, 7d.', '7d')
    .option('--by <what>', 'A row for each "version", or for each version and "day".', 'version')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('quality', 'quality coder --since 30d', 'quality coder --by day --json'))
    .action(async (model: string | undefined, { since, by, json }: { since: string; by: string; json?: boolean }) => {
      const client = openClient({ env: io.env })
      const read = async (as: string): Promise<QualityView> => {
        const query = new URLSearchParams({ since, by: as, ...(model === undefined ? {} : { model }) })
        return Quality.parse(await client.request('GET', `/api/v1/quality?${query}`))
      }
      const found = await read(by)
      if (json === true) return io.out(JSON.stringify(found, null, 2))
      if (found.models.length === 0)
        return io.out(
          `Nobody marked ${model ?? 'anything'} since ${found.since}. Name a judge in the spec: models[].quality, and apply it.`,
        )
      const days = by === 'day' ? found : await read('day')
      io.out(renderQuality(found, days))
    })
}
