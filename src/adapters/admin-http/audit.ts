/** `/api/v1/audit/…`: who did what, searched and exported; and somebody taken out of it. */
import { Readable } from 'node:stream'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { AuditStore, Erasure } from '../../domain/journal/index.ts'
import { instant, modelName, teamName } from '../../domain/units.ts'
import type { Instant } from '../../domain/units.ts'
import { csvHead, toCsv } from '../../services/audit/index.ts'
import type { AuditAsk, AuditLine, AuditSearch, Erasing, FindPerson, Notes } from '../../services/audit/index.ts'
import { answers, Duration, Moment, toIso } from './schemas.ts'

export type AuditRouteParts = {
  audit: {
    search: AuditSearch
    find: FindPerson
    erasing: Pick<Erasing, 'begin'>
    /** Something is to be erased: the work begins now, and not at the next round. */
    wake: () => void
    store: Pick<AuditStore, 'erasures' | 'countAbout' | 'removals'>
    notes: Notes
  }
  now: () => Instant
}

const when = z
  .union([Moment.transform(at => ({ at })), Duration.transform(ago => ({ ago }))])
  .optional()
  .describe('A moment (ISO 8601), or how long ago: 2h, 30d.')
const Bounds = {
  who: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe(
      "A key's id or alias, a person, a token's subject, 'admin' or 'controller'; acts also by whom they were about.",
    ),
  team: z.string().optional(),
  model: z.string().optional(),
  from: z.string().max(64).optional().describe('The client’s address.'),
  what: z
    .string()
    .regex(/^[a-z*][a-z0-9.*_-]{0,63}$/, "expected 'request', or an act such as key.create or key.*")
    .optional()
    .describe("'request', an act (key.create), or all acts of a noun (key.*)."),
  decision: z.enum(['done', 'refused', 'failed', 'cancelled', 'interrupted', 'open']).optional(),
  since: when,
  until: when,
  text: z.string().min(1).max(200).optional().describe('Stands somewhere in an entry, in any case.'),
}
const Search = z.strictObject({
  ...Bounds,
  limit: z.coerce.number().int().min(1).max(10_000).default(100),
  before: z.string().max(64).optional().describe('The id of the last entry of the page before.'),
})
const Export = z.strictObject({ ...Bounds, format: z.enum(['jsonl', 'csv']).default('jsonl') })
type Bounds = z.output<typeof Export>

const LineAnswer = z.object({
  id: z.string(),
  time: z.string(),
  what: z.string(),
  who: z.string().nullable(),
  alias: z.string().nullable(),
  team: z.string().nullable(),
  model: z.string().nullable(),
  from: z.string().nullable(),
  target: z.string().nullable().describe('What an act was about; of a request, its route.'),
  decision: z.string(),
  why: z
    .string()
    .nullable()
    .describe('Why it was refused or failed; of a request that was answered, why by this replica.'),
  detail: z.record(z.string(), z.unknown()).nullable(),
})

const Who = z.strictObject({
  who: z.string().min(1).max(256).describe("A key's id or alias, a person, or a token's subject."),
})
const PersonAnswer = z.object({
  keys: z.array(z.string()).describe('Everything that records may call them: keys, and subjects of tokens.'),
  names: z.array(z.string()),
  living: z.array(z.string()).describe('Keys that are not revoked: what these do from now on is recorded again.'),
  requests: z.number(),
  acts: z.number(),
})
const ErasureAnswer = z.object({
  id: z.string(),
  at: z.string(),
  state: z
    .enum(['running', 'waiting', 'done'])
    .describe(
      'waiting: for segments of the journal that are still written, an hour at most, and for requests still running.',
    ),
  rows: z.number().describe('Of the database.'),
  lines: z.number().describe('Of the journal.'),
  waiting: z.number().describe('Lines in segments that are still written.'),
  older: z
    .number()
    .describe('Lines from before version 0.2, which can’t be taken out of their chain singly: they go with retention.'),
})
const tags = ['audit']

export const auditRoutes =
  ({ audit, now }: AuditRouteParts): FastifyPluginAsyncZod =>
  async app => {
    const { search, find, erasing, wake, store, notes } = audit
    const toInstant = (when: Bounds['since'] & object): Instant => ('at' in when ? when.at : instant(now() - when.ago))

    function toAsk({ since, until, team, model, ...rest }: Omit<Bounds, 'format'>): Omit<AuditAsk, 'limit' | 'before'> {
      // What was left out of the query is undefined, and bounds nothing.
      const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined))
      return {
        ...given,
        ...(since === undefined ? {} : { since: toInstant(since) }),
        ...(until === undefined ? {} : { until: toInstant(until) }),
        ...(team === undefined ? {} : { team: teamName(team) }),
        ...(model === undefined ? {} : { model: modelName(model) }),
      }
    }

    app.get(
      '/audit',
      {
        schema: {
          tags,
          querystring: Search,
          response: answers(
            200,
            z.object({
              entries: z.array(LineAnswer),
              next: z.string().nullable().describe("Send it as 'before' for the next page."),
            }),
          ),
        },
      },
      async request => {
        const { limit, before, ...bounds } = request.query
        const { lines, next } = await search.page({
          ...toAsk(bounds),
          limit,
          ...(before === undefined ? {} : { before }),
        })
        return { entries: lines, next }
      },
    )

    app.get('/audit/export', { schema: { tags, querystring: Export } }, async (request, reply) => {
      const { format, ...bounds } = request.query
      const isCsv = format === 'csv'
      return reply
        .header(
          'content-type',
          isCsv ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson; charset=utf-8',
        )
        .header('content-disposition', `attachment; filename="audit.${format}"`)
        .header('cache-control', 'no-store')
        .send(Readable.from(written(search.all(toAsk(bounds)), isCsv)))
    })

    app.get(
      '/audit/person',
      { schema: { tags, querystring: Who, response: answers(200, PersonAnswer) } },
      async request => {
        const { subject, living } = await find(request.query.who)
        return { keys: [...subject.ids], names: [...subject.names], living, ...(await store.countAbout(subject)) }
      },
    )

    app.get(
      '/audit/erasures',
      { schema: { tags, response: answers(200, z.object({ erasures: z.array(ErasureAnswer) })) } },
      async () => ({ erasures: (await store.erasures()).map(toErasureAnswer) }),
    )

    app.post(
      '/audit/erasures',
      {
        schema: {
          tags,
          body: Who,
          response: answers(202, ErasureAnswer.extend({ living: PersonAnswer.shape.living })),
        },
      },
      async (request, reply) => {
        const { subject, living } = await find(request.body.who)
        const erasure = await erasing.begin(subject)
        // Not whom: this act stays.
        notes.note({ noun: 'audit', target: erasure.id, detail: {} })
        wake()
        return reply.code(202).send({ ...toErasureAnswer(erasure), living })
      },
    )
  }

/** A page at a time, as fast as it is read. */
async function* written(pages: AsyncIterable<AuditLine[]>, isCsv: boolean): AsyncGenerator<string> {
  if (isCsv) yield csvHead
  for await (const lines of pages) yield lines.map(line => (isCsv ? toCsv(line) : `${JSON.stringify(line)}\n`)).join('')
}

function toErasureAnswer({ id, at, doneAt, passedAt, rows, lines, waiting, older }: Erasure) {
  const state = passedAt === null ? ('running' as const) : ('waiting' as const)
  return { id, at: toIso(at), state: doneAt === null ? state : ('done' as const), rows, lines, waiting, older }
}
