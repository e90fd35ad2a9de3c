/** LiteLLM's `/spend/*`: who asked for what, and what it cost. A request that no engine was asked for has no `spend`. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { maskKey } from '../../domain/access/index.ts'
import type { AccessStore, Key } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import type { RequestFilter, RequestRow, RequestStore, UsageRow } from '../../domain/journal/index.ts'
import { instant, requestId } from '../../domain/units.ts'
import type { Instant, KeyId } from '../../domain/units.ts'
import { isSet, queryFlag, tags, text } from './fields.ts'
import { findKey } from './find-key.ts'
import { toKeyInfo, tokenOf, userOf } from './shapes.ts'
import { readSpending } from './spending.ts'
import type { SpendingParts } from './spending.ts'
import { refuseUnsupported } from './unsupported.ts'

export type SpendRouteParts = SpendingParts & {
  store: Pick<AccessStore, 'key' | 'keyByHash' | 'keys'>
  requests: Pick<RequestStore, 'list' | 'usage' | 'spent'>
}

const dayMs = 86_400_000

/** A day, or a moment; LiteLLM's scripts send both. */
const when = z
  .union([z.iso.date(), z.iso.datetime({ offset: true }), z.string().regex(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)])
  .optional()

const Logs = z.looseObject({
  api_key: text,
  user_id: text,
  request_id: text,
  start_date: when,
  end_date: when,
  summarize: queryFlag,
  // Ours: LiteLLM answers everything at once.
  limit: z.coerce.number().int().min(1).max(10_000).default(1000),
  before: text,
})
const Users = z.looseObject({ user_id: text })
const Keys = z.looseObject({ limit: z.coerce.number().int().min(1).max(10_000).default(1000) })

export const spendRoutes =
  ({ store, ...parts }: SpendRouteParts): FastifyPluginAsyncZod =>
  async app => {
    const { requests } = parts
    app.get('/spend/logs', { schema: { tags, querystring: Logs } }, async (request, reply) => {
      const {
        api_key: key,
        user_id: user,
        request_id: id,
        start_date: start,
        end_date: end,
        summarize,
        limit,
        before,
        ...rest
      } = request.query
      refuseUnsupported(rest)
      if (isSet(summarize)) {
        throw new FaultError({
          kind: 'unsupported',
          what: 'summarize=true',
          instead:
            'Leave it out for the requests themselves; GET /api/v1/usage has sums of tokens and costs, by key, team, model or version.',
        })
      }
      const keys = await store.keys()
      const filter: RequestFilter = {
        limit,
        ...(before === null ? {} : { before: requestId(before) }),
        ...(id === null ? {} : { id: requestId(id) }),
        ...(start === undefined ? {} : { since: firstOf(start) }),
        ...(end === undefined ? {} : { until: endOf(end) }),
        ...(key === null && user === null ? {} : { keys: await keysOf({ key, user, keys }) }),
      }
      const rows = await requests.list(filter)
      const last = rows.length < limit ? undefined : rows.at(-1)
      if (last !== undefined) reply.header('x-holdfast-next', last.id)
      const byId = new Map<string, Key>(keys.map(each => [each.id, each]))
      return rows.map(row => toLog(row, byId.get(row.key ?? '')))
    })

    app.get('/spend/keys', { schema: { tags, querystring: Keys } }, async request => {
      const { limit, ...rest } = request.query
      refuseUnsupported(rest)
      const used = (await usedKeys()).slice(0, limit)
      const spending = await readSpending(parts, { keys: used.map(({ key }) => key) })
      return used.map(({ key, usage }) => ({
        token: tokenOf(key),
        ...toKeyInfo(key, spending),
        api_requests: usage.requests,
        prompt_tokens: usage.inputTokens,
        completion_tokens: usage.outputTokens,
        total_tokens: usage.inputTokens + usage.outputTokens,
      }))
    })

    app.get('/spend/users', { schema: { tags, querystring: Users } }, async request => {
      const { user_id: wanted, ...rest } = request.query
      refuseUnsupported(rest)
      const spent = new Map<string, number>()
      for (const { key, usage } of await usedKeys()) {
        const user = userOf(key)
        if (user !== null && (wanted === null || user === wanted))
          spent.set(user, (spent.get(user) ?? 0) + costOf(usage))
      }
      return [...spent].map(([user, spend]) => ({ user_id: user, spend }))
    })

    app.get('/global/spend', { schema: { tags } }, async () => {
      const all = await requests.usage({ by: 'model' })
      return { spend: all.reduce((sum, usage) => sum + costOf(usage), 0), max_budget: null }
    })

    app.get('/global/spend/keys', { schema: { tags, querystring: Keys } }, async request => {
      const { limit, ...rest } = request.query
      refuseUnsupported(rest)
      return mostFirst(await usedKeys(), ({ usage }) => costOf(usage))
        .slice(0, limit)
        .map(({ key, usage }) => ({
          api_key: tokenOf(key),
          key_alias: key.alias,
          key_name: maskKey(key.id),
          total_spend: costOf(usage),
        }))
    })

    app.get('/global/spend/teams', { schema: { tags } }, async () => {
      const teams = (await requests.usage({ by: 'team' })).filter(({ name }) => name !== null)
      return {
        teams: teams.map(({ name }) => name),
        total_spend_per_team: mostFirst(teams, costOf).map(usage => ({
          team_id: usage.name,
          total_spend: costOf(usage),
        })),
      }
    })

    app.get('/global/spend/models', { schema: { tags, querystring: Keys } }, async request => {
      const { limit, ...rest } = request.query
      refuseUnsupported(rest)
      const models = (await requests.usage({ by: 'model' })).filter(({ name }) => name !== null)
      return mostFirst(models, costOf)
        .slice(0, limit)
        .map(usage => ({ model: usage.name, total_spend: costOf(usage) }))
    })

    /** Keys that there are, with what they used ever. */
    async function usedKeys(): Promise<{ key: Key; usage: UsageRow }[]> {
      const keys = new Map<string, Key>((await store.keys()).map(key => [key.id, key]))
      return (await requests.usage({ by: 'key' })).flatMap(usage => {
        const key = keys.get(usage.name ?? '')
        return key === undefined ? [] : [{ key, usage }]
      })
    }

    /** In the currency that costs are told in now: nothing is converted. */
    function costOf({ costs }: UsageRow): number {
      return costs.find(({ currency }) => currency === parts.currency())?.amount ?? 0
    }

    type Whose = { key: string | null; user: string | null; keys: readonly Key[] }

    /** Of an unknown key or user there are no requests. */
    async function keysOf({ key, user, keys }: Whose): Promise<KeyId[]> {
      const theirs = user === null ? null : keys.filter(each => userOf(each) === user).map(each => each.id)
      if (key === null) return theirs ?? []
      const id = (await findKey(store, key))?.id
      return id === undefined || (theirs !== null && !theirs.includes(id)) ? [] : [id]
    }
  }

const mostFirst = <T>(all: readonly T[], spentBy: (one: T) => number): T[] =>
  all.toSorted((a, b) => spentBy(b) - spentBy(a))

const firstOf = (text: string): Instant => instant(Date.parse(toUtc(text)))

/** A day is meant whole, a moment as it is. */
function endOf(text: string): Instant {
  const at = Date.parse(toUtc(text))
  return instant(text.length === 10 ? at + dayMs : at)
}

const toUtc = (text: string): string => (text[10] === ' ' ? `${text.replace(' ', 'T')}Z` : text)

/** LiteLLM's row. `request_id` is the id that the answer carried as `x-request-id`. */
function toLog(row: RequestRow, key: Key | undefined) {
  const started = Date.parse(row.time)
  const later = (ms: number | null): string | null => (ms === null ? null : new Date(started + ms).toISOString())
  const { inputTokens: input, outputTokens: output } = row
  return {
    request_id: row.id,
    call_type: row.route,
    api_key: key === undefined ? row.key : tokenOf(key),
    spend: row.cost,
    model: row.model,
    model_group: row.model,
    model_id: row.version,
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input === null && output === null ? null : (input ?? 0) + (output ?? 0),
    startTime: row.time,
    completionStartTime: later(row.ttftMs),
    endTime: later(row.totalMs),
    status: statusOf(row.outcome),
    user: key === undefined ? null : userOf(key),
    team_id: row.team,
    requester_ip_address: row.from,
    metadata: {
      user_api_key_alias: row.alias,
      user_api_key_team_id: row.team,
      http_status: row.status,
      outcome: row.outcome,
      error: row.fault,
      attempts: row.attempts,
      client_request_id: row.clientId,
    },
  }
}

/** `null`: it is still being answered. */
function statusOf(outcome: RequestRow['outcome']): 'success' | 'failure' | null {
  if (outcome === 'open') return null
  return outcome === 'ok' ? 'success' : 'failure'
}
