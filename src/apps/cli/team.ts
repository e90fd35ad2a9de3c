/** `holdfast team create|list|update|delete`. */
import type { Command } from 'commander'
import { z } from 'zod'
import { CliError, openClient } from './client.ts'
import { examples, processIo, renderTable } from './output.ts'
import type { CliIo } from './output.ts'
import { InForce, listOf, sayInForce, sayModels } from './say.ts'

const Team = z.looseObject({ name: z.string(), models: z.array(z.string()).nullable(), source: z.string() })
const ChangedTeam = Team.extend({ inForce: InForce, warnings: z.array(z.string()).default([]) })

type Json = { json?: boolean }

export function registerTeam(program: Command, io: CliIo = processIo): void {
  const team = program.command('team').description('Teams: which models the keys of a group may use.')
  const path = (name: string): string => `/api/v1/teams/${encodeURIComponent(name)}`

  function tell(verb: string, answer: unknown, next: string): void {
    const changed = ChangedTeam.parse(answer)
    const lines = [
      `${verb} the team ${changed.name}. It may use ${sayModels(changed.models, 'every model')}.`,
      sayInForce(changed.inForce),
    ]
    io.out([...lines, ...changed.warnings.map(warning => `Note: ${warning}`), next].join('\n'))
  }

  team
    .command('create')
    .description('Make a team.')
    .argument('<name>')
    .option('--models <names>', 'Models it may use, with commas between (default: all).')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('team create dev --models coder,embed'))
    .action(async (name: string, options: Json & { models?: string }) => {
      const models = options.models === undefined ? null : listOf(options.models)
      const answer = await openClient(io).request('POST', '/api/v1/teams', { name, models })
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
          ['NAME', 'MODELS', 'FROM'],
          teams.map(each => [each.name, sayModels(each.models, 'all'), each.source]),
        ),
      )
    })

  team
    .command('update')
    .description('Change what a team may use.')
    .argument('<name>')
    .option('--models <names>', 'Models it may use from now on, with commas between.')
    .option('--all-models', 'Every model.')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('team update dev --models coder', 'team update dev --all-models'))
    .action(async (name: string, options: Json & { models?: string; allModels?: boolean }) => {
      if ((options.models === undefined) === (options.allModels === undefined)) {
        throw new CliError('Say what changes: either --models a,b or --all-models.', 2)
      }
      const models = options.models === undefined ? null : listOf(options.models)
      const answer = await openClient(io).request('PATCH', path(name), { models })
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
