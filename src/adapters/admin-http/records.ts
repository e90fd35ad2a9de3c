/** `/api/v1/requests`, `/api/v1/usage` and `/api/v1/audit/verify`: what the journal says. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Removal, RequestStore } from '../../domain/journal/index.ts'
import { keyId, modelName, requestId, teamName } from '../../domain/units.ts'
import type { KeyId } from '../../domain/units.ts'
import type { Keys } from '../../services/access/index.ts'
import type { Audit } from '../../services/verify-audit.ts'
import { answers, Moment, toIso } from './schemas.ts'

const outcomes = ['ok', 'refused', 'failed', 'cancelled', 'interrupted', 'open'] as const

const RequestQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(10_000).default(100),
  before: z.string().optional().describe('The id of the last request of the page before.'),
  key: z.string().optional().describe("The id of a key or its alias, 'admin', or 'jwt:' and the subject of a token."),
  team: z.string().optional(),
  model: z.string().optional(),
  outcome: z.enum(outcomes).optional(),
})
const RequestAnswer = z.object({
  id: z.string(),
  time: z.string(),
  key: z.string().nullable(),
  alias: z.string().nullable(),
  team: z.string().nullable(),
  model: z.string().nullable(),
  version: z.string().nullable(),
  replica: z.string().nullable(),
  route: z.string(),
  stream: z.boolean(),
  status: z.number().nullable(),
  outcome: z.enum(outcomes),
  fault: z.string().nullable(),
  inputTokens: z.number().nullable(),
  outputTokens: z.number().nullable(),
  ttftMs: z.number().nullable(),
  totalMs: z.number().nullable(),
  attempts: z.number().nullable(),
  gpuMs: z
    .number()
    .nullable()
    .describe('The engine’s time it took, its share while others ran beside it, times the GPUs.'),
  cost: z.number().nullable().describe('What that costs, in `currency`.'),
  currency: z.string().nullable(),
  clientId: z.string().nullable(),
  from: z.string().nullable(),
  choice: z.string().nullable().describe('Why this replica answered.'),
})

const UsageQuery = z.strictObject({
  by: z.enum(['key', 'team', 'model', 'version']).default('key'),
  since: Moment.optional().describe('Rounded down to the hour.'),
  until: Moment.optional().describe('Rounded up to the hour.'),
})
const UsageAnswer = z.object({
  name: z.string().nullable(),
  alias: z.string().nullable(),
  requests: z.number(),
  ok: z.number(),
  refused: z.number(),
  failed: z.number(),
  cancelled: z.number(),
  interrupted: z.number(),
  inputTokens: z.number(),
  outputTokens: z.number(),
  gpuMs: z.number(),
  costs: z
    .array(z.object({ currency: z.string(), amount: z.number() }))
    .describe('One for each currency that costs were told in.'),
})

const AuditAnswer = z.object({
  intact: z.boolean(),
  epochs: z.number(),
  blocks: z.number(),
  lines: z.number(),
  broken: z
    .array(
      z.object({
        epoch: z.string(),
        segment: z.number().nullable(),
        line: z.number().nullable(),
        what: z.string(),
        detail: z.string(),
      }),
    )
    .describe('The first thing wrong in each broken epoch.'),
  gaps: z
    .array(z.object({ epoch: z.string(), at: z.string(), until: z.string(), lost: z.number() }))
    .describe('When requests were served that could not be recorded.'),
  erased: z.number().describe('Lines that were erased; an act in the chain vouches for each.'),
  retained: z
    .array(z.object({ epoch: z.string(), segments: z.number(), whole: z.boolean(), rule: z.string(), at: z.string() }))
    .describe('What retention took from the front of epochs: verification begins behind it.'),
})

export type RecordParts = {
  keys: Pick<Keys, 'get'>
  requests: Pick<RequestStore, 'list' | 'usage' | 'gaps'>
  /** Goes along every epoch's chain; slow for a long journal. */
  verifyAudit: () => Promise<Audit>
  removals: () => Promise<Removal[]>
}

export const recordRoutes =
  ({ keys, requests, verifyAudit, removals }: RecordParts): FastifyPluginAsyncZod =>
  async app => {
    /** The administrator and tokens have no record among the keys. */
    async function toKeyId(ref: string): Promise<KeyId | 'admin'> {
      if (ref === 'admin') return ref
      return ref.startsWith('jwt:') ? keyId(ref) : (await keys.get(ref)).id
    }

    app.get(
      '/requests',
      {
        schema: {
          tags: ['requests'],
          querystring: RequestQuery,
          response: answers(
            200,
            z.object({
              requests: z.array(RequestAnswer),
              next: z.string().nullable().describe("Send it as 'before' for the next page."),
            }),
          ),
        },
      },
      async request => {
        const { limit, before, key, team, model, outcome } = request.query
        const rows = await requests.list({
          limit,
          ...(before === undefined ? {} : { before: requestId(before) }),
          ...(key === undefined ? {} : { key: await toKeyId(key) }),
          ...(team === undefined ? {} : { team: teamName(team) }),
          ...(model === undefined ? {} : { model: modelName(model) }),
          ...(outcome === undefined ? {} : { outcome }),
        })
        return { requests: rows, next: rows.length < limit ? null : (rows.at(-1)?.id ?? null) }
      },
    )

    app.get(
      '/usage',
      {
        schema: {
          tags: ['requests'],
          querystring: UsageQuery,
          response: answers(200, z.object({ by: z.string(), usage: z.array(UsageAnswer) })),
        },
      },
      async request => {
        const { by, since, until } = request.query
        const usage = await requests.usage({
          by,
          ...(since === undefined ? {} : { since }),
          ...(until === undefined ? {} : { until }),
        })
        return { by, usage }
      },
    )

    app.get('/audit/verify', { schema: { tags: ['audit'], response: answers(200, AuditAnswer) } }, async () => {
      const audit = await verifyAudit()
      const broken = audit.result === 'broken' ? audit.findings : []
      return {
        intact: audit.result === 'intact',
        epochs: audit.epochs.length + broken.length,
        blocks: audit.epochs.reduce((sum, epoch) => sum + epoch.blocks, 0),
        lines: audit.epochs.reduce((sum, epoch) => sum + epoch.lines, 0),
        // Places count from 1; 0 says that there is none to name.
        broken: broken.map(({ epoch, segment, line, what, detail }) => ({
          epoch,
          segment: segment || null,
          line: line || null,
          what,
          detail,
        })),
        gaps: (await requests.gaps()).map(gap => ({ ...gap, at: toIso(gap.at), until: toIso(gap.until) })),
        erased: audit.epochs.flatMap(epoch => epoch.tombstones).reduce((sum, found) => sum + found.lines, 0),
        retained: (await removals()).map(({ epoch, segment, whole, rule, at }) => ({
          ...{ epoch, segments: segment, whole, rule },
          at: toIso(at),
        })),
      }
    })
  }
