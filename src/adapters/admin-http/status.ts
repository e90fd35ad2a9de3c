/** `/api/v1/status`: what runs here and whether it is as the spec says. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { GatewayAnswer } from './gateways.ts'
import { answers } from './schemas.ts'

const StatusAnswer = z.object({
  name: z.string(),
  version: z.string(),
  url: z.string().nullable().describe('Where the service answers; null when nobody told the controller.'),
  spec: z.object({
    path: z.string().nullable(),
    state: z.enum(['ok', 'invalid']).describe('invalid: the last good one is served.'),
    problems: z.array(z.string()),
  }),
  processes: z.array(
    z.object({
      role: z.string(),
      pid: z.number(),
      startedAt: z.string(),
      restarts: z.number(),
      release: z.string().optional().describe('The version of Holdfast that it runs.'),
      state: z
        .enum(['starting', 'running', 'draining'])
        .optional()
        .describe('While a gateway is replaced, two run: draining finishes what it has, and takes nothing new.'),
    }),
  ),
  engines: z.array(
    z.object({
      replica: z.string(),
      version: z.string(),
      pid: z.number(),
      socket: z.string(),
      startedAt: z.string(),
      state: z.string(),
    }),
  ),
  fetches: z
    .array(
      z.object({
        version: z.string(),
        source: z.string(),
        state: z.enum(['fetching', 'done', 'failed']),
        doneBytes: z.number(),
        totalBytes: z.number().describe('0: not known yet.'),
        bytesPerSecond: z.number().nullable(),
        why: z.string().nullable().describe('What it waits for, or why it failed.'),
      }),
    )
    .describe('Weights that are fetched for engines here, since the agent was started.'),
  gateways: z.array(GatewayAnswer),
  snapshot: z.string(),
  models: z.array(
    z.object({
      name: z.string(),
      version: z.string().describe('What answers.'),
      diverged: z.string().nullable().optional().describe('The spec says another version: why, and what mends it.'),
      replicas: z.array(z.object({ id: z.string(), address: z.string() })),
    }),
  ),
  store: z
    .object({
      kind: z.enum(['sqlite', 'postgresql']),
      name: z.string().describe('The file, or the server and the database.'),
      problem: z.string().nullable().describe('Why it can’t be used now; null: it can.'),
    })
    .describe('Where keys, teams and records are kept.'),
  ingest: z
    .array(
      z.object({
        epoch: z.string(),
        segment: z.number(),
        offset: z.number(),
        ended: z.boolean(),
      }),
    )
    .describe('How far each journal was taken in.'),
})
export type Status = z.output<typeof StatusAnswer>

export const statusRoutes =
  ({ status }: { status: () => Promise<Status> }): FastifyPluginAsyncZod =>
  async app => {
    app.get('/status', { schema: { tags: ['status'], response: answers(200, StatusAnswer) } }, () => status())
  }
