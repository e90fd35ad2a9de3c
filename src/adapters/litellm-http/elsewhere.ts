/** LiteLLM's calls that are not here: each is answered with the call of ours that serves the purpose, if there is one. */
import type { FastifyPluginAsync } from 'fastify'
import { FaultError } from '../../domain/fault.ts'

/** First path segments that LiteLLM's administration has. */
const segments = [
  'key',
  'team',
  'user',
  'model',
  'spend',
  'model_group',
  'v2',
  'global',
  'budget',
  'customer',
  'end_user',
  'organization',
  'utils',
  'cost',
  'routes',
]

const spec = 'Models stand in the spec: change holdfast.yaml, and see that it is right with holdfast check.'
const usage = 'GET /api/v1/usage has requests, tokens, GPU time and costs by key, team, model or version.'
const budgets =
  'A budget belongs to a key or a team: max_budget and budget_duration there. GET /api/v1/spend tells what is left of each.'
const members =
  'There are no user accounts: POST /key/generate with user_id and team_id makes a member, POST /key/delete ends one.'
const customers = 'Requests are counted by key: give each customer a key (POST /key/generate with user_id).'

/** By path, without its method; the longest that fits counts. */
const instead: readonly (readonly [path: string, instead: string])[] = [
  ['/key/bulk_update', 'Change keys one by one: POST /key/update.'],
  ['/key/reset_spend', usage],
  ['/team/member_add', members],
  ['/team/member_delete', members],
  ['/team/member_update', members],
  ['/team/bulk_member_add', members],
  ['/team/block', 'Block its keys: POST /key/block.'],
  ['/team/unblock', 'Unblock its keys: POST /key/unblock.'],
  ['/team/available', 'GET /team/list has every team.'],
  ['/team/daily', usage],
  ['/team/model', 'Say its models with POST /team/update.'],
  ['/user/update', 'Nothing is kept of users but their keys: POST /key/update.'],
  ['/user/bulk_update', 'Nothing is kept of users but their keys: POST /key/update.'],
  ['/user/daily', usage],
  ['/model/new', spec],
  ['/model/update', spec],
  ['/model/delete', spec],
  ['/model', spec],
  ['/model_group', 'GET /model_group/info tells of all models; models are made public in the spec.'],
  ['/spend', usage],
  ['/spend/logs', 'GET /spend/logs, or GET /api/v1/requests in pages.'],
  ['/global', usage],
  ['/cost', usage],
  ['/budget', budgets],
  ['/customer', customers],
  ['/end_user', customers],
  ['/organization', 'There is one level of groups: teams (POST /team/new).'],
  ['/utils/token_counter', 'POST /tokenize counts with the model’s own tokenizer.'],
  ['/utils', 'GET /api/v1/openapi.json describes what there is.'],
  ['/routes', 'GET /api/v1/openapi.json describes every call of administration.'],
]

const methods = ['GET', 'POST'] as const

/** Answers what no route before it did, under LiteLLM's segments. */
export const elsewhereRoutes: FastifyPluginAsync = async app => {
  for (const segment of segments) {
    for (const url of [`/${segment}`, `/${segment}/*`]) {
      app.all(url, { schema: { hide: true } }, async request => {
        // The query string stays out of errors: it may hold a key.
        const path = request.url.split('?', 1)[0] ?? ''
        const allowed = path === `/${segment}` ? [] : methods.filter(method => app.hasRoute({ method, url: path }))
        if (allowed.length > 0)
          throw new FaultError({ kind: 'method-not-allowed', method: request.method, path, allowed })
        const told = insteadOf(path)
        throw new FaultError({
          kind: 'route-unknown',
          method: request.method,
          path: path.slice(0, 200),
          ...(told === null ? {} : { instead: told }),
        })
      })
    }
  }
}

function insteadOf(path: string): string | null {
  const fitting = instead.filter(([prefix]) => path === prefix || path.startsWith(`${prefix}/`))
  return fitting.toSorted(([a], [b]) => b.length - a.length)[0]?.[1] ?? null
}
