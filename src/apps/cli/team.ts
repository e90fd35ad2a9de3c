/** `holdfast team create|list|update|delete`. */
import { Option, type Command } from 'commander'
import { z } from 'zod'
import { addBoundOptions, Bounded, sayBounds, toBoundsBody } from './bound-options.ts'
import type { BoundOptions } from './bound-options.ts'
import { CliError, openClient } from './client.ts'
import { examples, processIo, renderTable } from './output.ts'
import type { CliIo } from './output.ts'
import { InForce, listOf, sayInForce, sayModels } from './say.ts'

const Team = z.looseObject({
  ...Bounded.shape,
  name: z.string(),
  models: z.array(z.string()).nullable(),
  priority: z.string(),
  source: z.string(),
})
const ChangedTeam = Team.extend({ inForce: InForce, warnings: z.array(z.string()).default([]) })

type Json = { json?: boolean }
type Options = Json & BoundOptions & { models?: string; priority?: string }

export function registerTeam(program: Command, io: CliIo = processIo): void {
  const team = program.command('team').description('Teams: which models the keys of a group may use, and how much.')
  const path = (name: string): string => `/api/v1/teams/${encodeURIComponent(name)}`

  function tell(verb: string, answer: unknown, next: string): void {
    const changed = ChangedTeam.parse(answer)
    const lines = [
      `${verb} the team ${changed.name}. It may use ${sayModels(changed.models, 'every model')}${most(changed)}.`,
      sayInForce(changed.inForce),
    ]
    io.out([...lines, ...changed.warnings.map(warning => `Note: ${warning}`), next].join('\n'))
  }

  const create = team
    .command('create')
    .description('Make a team.')
    .argument('<name>')
    .option('--models <names>', 'Models it may use, with commas between (default: all).')
    .addOption(priorityOption('normal'))
    .option('--json', 'As JSON.')
  addBoundOptions(create)
    .addHelpText(
      'after',
      examples(
        'team create dev --models coder,embed',
        'team create guests --parallel 2 --budget "20 EUR/30d" --priority low',
      ),
    )
    .action(async (name: string, options: Options) => {
      const models = options.models === undefined ? null : listOf(options.models)
      const body = { name, models, ...toBoundsBody(options), ...toPriority(options) }
      const answer = await openClient(io).request('POST', '/api/v1/teams', body)
      if (options.json) return io.out(JSON.stringify(answer, null, 2))
      tell('Created', answer, `Give it a key: holdfast key create --team ${name}`)
    })

  team
    .command('list')
    .description('All teams.')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('team list'))
    .action(async (options: Json) => {
      const answer = await openClient(io).request('GET', '/api/v1/teams')
      if (options.json) return io.out(JSON.stringify(answer, null, 2))
      const { teams } = z.object({ teams: z.array(Team) }).parse(answer)
      if (teams.length === 0) return io.out('No teams yet. Make one: holdfast team create <name> --models <names>')
      io.out(
        renderTable(
          ['NAME', 'MODELS', 'LIMITS', 'PRIORITY', 'FROM'],
          teams.map(each => [
            each.name,
            sayModels(each.models, 'all'),
            sayBounds(each) ?? '-',
            each.priority,
            each.source,
          ]),
        ),
      )
    })

  const update = team
    .command('update')
    .description('Change what a team may use, and how much.')
    .argument('<name>')
    .option('--models <names>', 'Models it may use from now on, with commas between.')
    .option('--all-models', 'Every model.')
    .addOption(priorityOption())
    .option('--json', 'As JSON.')
  addBoundOptions(update, { mayBeNone: true })
    .addHelpText(
      'after',
      examples('team update dev --models coder', 'team update dev --all-models', 'team update dev --budget none'),
    )
    .action(async (name: string, options: Options & { allModels?: boolean }) => {
      if (options.models !== undefined && options.allModels)
        throw new CliError('Say either --models a,b or --all-models.', 2)
      const change = {
        ...(options.models === undefined ? {} : { models: listOf(options.models) }),
        ...(options.allModels ? { models: null } : {}),
        ...toBoundsBody(options),
        ...toPriority(options),
      }
      if (Object.keys(change).length === 0)
        throw new CliError(
          "Say what changes, for example --models a,b or --parallel 4. 'holdfast team update --help' lists all.",
          2,
        )
      const answer = await openClient(io).request('PATCH', path(name), change)
      if (options.json) return io.out(JSON.stringify(answer, null, 2))
      tell('Changed', answer, 'See all: holdfast team list')
    })

  team
    .command('delete')
    .description('Remove a team without keys in use.')
    .argument('<name>')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('team delete dev'))
    .action(async (name: string, options: Json) => {
      const answer = await openClient(io).request('DELETE', path(name))
      if (options.json) return io.out(JSON.stringify(answer, null, 2))
      io.out(
        [
          `Deleted the team ${name}.`,
          sayInForce(ChangedTeam.parse(answer).inForce),
          'See what is left: holdfast team list',
        ].join('\n'),
      )
    })
}

function priorityOption(usual?: string): Option {
  const option = new Option(
    '--priority <which>',
    `Who goes first when requests wait${usual === undefined ? '' : ` (default: ${usual})`}.`,
  )
  return option.choices(['low', 'normal', 'high'])
}

const toPriority = ({ priority }: Options): { priority?: string } => (priority === undefined ? {} : { priority })

const most = (team: z.output<typeof Team>): string => {
  const bounds = sayBounds(team)
  return bounds === null ? '' : `, at most ${bounds}`
}
