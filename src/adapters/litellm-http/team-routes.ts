/** LiteLLM's `/team/*`. A team's name here is its `team_id`; the `team_alias` is kept beside it. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { AccessStore, Team } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import { teamName } from '../../domain/units.ts'
import type { Keys, Teams } from '../../services/access/index.ts'
import { boundFields, toBounds, withoutBounds } from './bound-fields.ts'
import { cutPage, flag, metadata, names, page, pageSize, refs, tags, text, toModels } from './fields.ts'
import { toKeyInfo, tokenOf, toTeamInfo, userOf } from './shapes.ts'
import { readSpending } from './spending.ts'
import type { SpendingParts } from './spending.ts'
import { refuseUnsupported } from './unsupported.ts'

export type TeamRouteParts = SpendingParts & {
  teams: Teams
  keys: Pick<Keys, 'revokeAll'>
  store: Pick<AccessStore, 'keys'>
}

const Fields = z.looseObject({
  ...{ team_id: text, team_alias: text, models: names, metadata, blocked: flag },
  ...boundFields,
})
const Update = Fields.extend({ team_id: z.string().min(1) })
const Delete = z.strictObject({ team_ids: refs })
const Info = z.object({ team_id: z.string().min(1) })
const List = z.looseObject({ user_id: text })
const PagedList = List.extend({ page, page_size: pageSize(10), team_id: text, team_alias: text })

export const teamRoutes =
  ({ teams, keys, store, ...parts }: TeamRouteParts): FastifyPluginAsyncZod =>
  async app => {
    const told = async (team: Team) =>
      toTeamInfo(team, await store.keys(), await readSpending(parts, { teams: [team] }))

    app.post('/team/new', { schema: { tags, body: Fields } }, async request => {
      const { team_id: id, team_alias: alias, models, metadata: given, blocked, ...bounded } = request.body
      refuseUnsupported(withoutBounds(bounded))
      refuseBlocked(blocked)
      const { team } = await teams.create({
        name: id ?? nameOf(alias),
        models: toModels(models ?? [], false),
        ...toBounds(bounded),
        metadata: { ...given, ...(alias === null ? {} : { team_alias: alias }) },
      })
      return told(team)
    })

    app.post('/team/update', { schema: { tags, body: Update } }, async request => {
      const { team_id: name, team_alias: alias, models, metadata: given, blocked, ...bounded } = request.body
      refuseUnsupported(withoutBounds(bounded))
      refuseBlocked(blocked)
      const before = await teams.get(name)
      const kept = alias ?? before.metadata['team_alias']
      const newMetadata =
        alias === null && !given
          ? {}
          : { metadata: { ...(given ?? before.metadata), ...(kept === undefined ? {} : { team_alias: kept }) } }
      const newModels = models ? { models: toModels(models, false) } : {}
      const { team } = await teams.update(name, { ...newModels, ...newMetadata, ...toBounds(bounded, before) })
      const data = await told(team)
      return { ...data, data }
    })

    // LiteLLM deletes the team's keys with it. A team of the spec is refused before any key is touched.
    app.post('/team/delete', { schema: { tags, body: Delete } }, async request => {
      const { team_ids: wanted } = request.body
      if (wanted.length === 0)
        throw new FaultError({ kind: 'request-invalid', param: 'team_ids', problem: 'Name teams (team_ids).' })
      const found: Team[] = []
      for (const name of wanted) found.push(await teams.get(name))
      const declared = found.find(team => team.source === 'spec')
      if (declared !== undefined) await teams.remove(declared.name)
      const gone = new Set(found.map(team => team.name))
      const theirs = (await store.keys()).filter(
        key => key.team !== null && gone.has(key.team) && key.revokedAt === null,
      )
      await keys.revokeAll(theirs.map(key => key.id))
      for (const name of gone) await teams.remove(name)
      return { deleted_teams: wanted }
    })

    app.get('/team/info', { schema: { tags, querystring: Info } }, async request => {
      const { team_id: name } = request.query
      const team = await teams.get(name)
      const all = await store.keys()
      const theirs = all.filter(key => key.team === team.name && key.revokedAt === null)
      const spending = await readSpending(parts, { keys: theirs, teams: [team] })
      return {
        team_id: team.name,
        team_info: toTeamInfo(team, all, spending),
        keys: theirs.map(key => ({ token: tokenOf(key), ...toKeyInfo(key, spending) })),
        team_memberships: [],
      }
    })

    app.get('/team/list', { schema: { tags, querystring: List } }, async request => {
      const { user_id: user, ...rest } = request.query
      refuseUnsupported(rest)
      const all = await store.keys()
      const found = await teamsOf(user)
      const spending = await readSpending(parts, { keys: all, teams: found })
      return found.map(team => ({
        ...toTeamInfo(team, all, spending),
        team_memberships: [],
        keys: all
          .filter(key => key.team === team.name && key.revokedAt === null)
          .map(key => ({ token: tokenOf(key), ...toKeyInfo(key, spending) })),
      }))
    })

    app.get('/v2/team/list', { schema: { tags, querystring: PagedList } }, async request => {
      const { user_id: user, team_id: id, team_alias: alias, page: at, page_size: size, ...rest } = request.query
      refuseUnsupported(rest)
      const all = await store.keys()
      const theirs = await teamsOf(user)
      const spending = await readSpending(parts, { teams: theirs })
      const found = theirs
        .map(team => toTeamInfo(team, all, spending))
        .filter(team => (id === null || team.team_id === teamName(id)) && (alias === null || team.team_alias === alias))
      const { items, total, pages } = cutPage(found, { page: at, size })
      return { teams: items, total, page: at, page_size: size, total_pages: pages }
    })

    /** `null`: all of them. */
    async function teamsOf(user: string | null): Promise<Team[]> {
      const all = await teams.list()
      if (user === null) return all
      const theirs = new Set(
        (await store.keys()).filter(key => userOf(key) === user && key.revokedAt === null).map(key => key.team),
      )
      return all.filter(team => theirs.has(team.name))
    }
  }

/** `Research & Ops` → `Research-Ops`. */
function nameOf(alias: string | null): string {
  const name = (alias ?? '')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+|-+$/g, '')
    .slice(0, 64)
  if (name !== '') return name
  throw new FaultError({
    kind: 'request-invalid',
    param: 'team_id',
    problem: 'Give team_id, or a team_alias with letters or digits: it becomes the team’s name.',
  })
}

function refuseBlocked(blocked: boolean | null | undefined): void {
  if (blocked !== true) return
  throw new FaultError({
    kind: 'unsupported',
    what: 'Blocking a team',
    instead:
      'Block its keys (POST /key/block), or give it no models (POST /team/update, models ["no-default-models"]).',
  })
}
