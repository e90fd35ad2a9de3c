/** `holdfast key create|list|rotate|revoke`. */
import type { Command } from 'commander'
import { z } from 'zod'
import { openClient } from './client.ts'
import type { Client } from './client.ts'
import { examples, processIo, renderTable } from './output.ts'
import type { CliIo } from './output.ts'
import { InForce, listOf, sayInForce, sayModels } from './say.ts'

const Key = z.looseObject({
  id: z.string(),
  alias: z.string().nullable(),
  team: z.string().nullable(),
  models: z.array(z.string()).nullable(),
  createdAt: z.string(),
  expiresAt: z.string().nullable(),
  status: z.string(),
})
type Key = z.output<typeof Key>
const ChangedKey = Key.extend({ inForce: InForce, warnings: z.array(z.string()) })
const BornKey = ChangedKey.extend({ key: z.string() })
const RotatedKey = BornKey.extend({ previousValidUntil: z.string() })

type Json = { json?: boolean }

export function registerKey(program: Command, io: CliIo = processIo): void {
  const key = program.command('key').description('API keys: create, list, rotate, revoke.')

  key
    .command('create')
    .description('Make a key; it is shown once.')
    .option('--alias <name>', 'A name for people, unique among keys in use.')
    .option('--team <name>', 'The team it belongs to.')
    .option('--models <names>', 'Models it may use, with commas between (default: what its team may, else all).')
    .option('--expires <duration>', 'How long it lives: 12h, 30d, 2w (default: for good).')
    .option('--json', 'As JSON.')
    .addHelpText(
      'after',
      examples('key create --alias anna', 'key create --alias ci --team dev --models coder,embed --expires 30d --json'),
    )
    .action(async (options: Json & { alias?: string; team?: string; models?: string; expires?: string }) => {
      const client = openClient(io)
      const answer = await client.request('POST', '/api/v1/keys', {
        alias: options.alias ?? null,
        team: options.team ?? null,
        models: options.models === undefined ? null : listOf(options.models),
        expiresIn: options.expires ?? null,
      })
      if (options.json) return io.out(JSON.stringify(answer, null, 2))
      const born = BornKey.parse(answer)
      io.out(
        [
          `Created ${named(born)}.`,
          '',
          `  ${born.key}`,
          '',
          `Keep it now: it is not shown again. ${mayUse(born)} ${ends(born)}`,
          ...tail(born),
          '',
          'See what it may use:',
          `  ${tryIt(client, born.key)}`,
        ].join('\n'),
      )
    })

  key
    .command('list')
    .description('Keys in use; --all also those revoked.')
    .option('--all', 'Revoked keys too.')
    .option('--json', 'As JSON, revoked keys too.')
    .addHelpText('after', examples('key list', 'key list --all --json'))
    .action(async (options: Json & { all?: boolean }) => {
      const answer = await openClient(io).request('GET', '/api/v1/keys')
      if (options.json) return io.out(JSON.stringify(answer, null, 2))
      const keys = z
        .object({ keys: z.array(Key) })
        .parse(answer)
        .keys.filter(each => options.all || each.status !== 'revoked')
      if (keys.length === 0) return io.out('No keys yet. Make one: holdfast key create --alias <name>')
      io.out(
        renderTable(
          ['ID', 'ALIAS', 'TEAM', 'MODELS', 'STATUS', 'EXPIRES', 'CREATED'],
          keys.map(each => [
            each.id,
            each.alias ?? '-',
            each.team ?? '-',
            sayModels(each.models, each.team === null ? 'all' : "the team's"),
            each.status,
            day(each.expiresAt),
            day(each.createdAt),
          ]),
        ),
      )
    })

  key
    .command('rotate')
    .description('Give a key a new secret; the old one goes on for a while.')
    .argument('<key>', 'Id or alias.')
    .option('--grace <duration>', 'How long the old secret goes on; 0s ends it at once.', '24h')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('key rotate anna', 'key rotate anna --grace 1h'))
    .action(async (ref: string, options: Json & { grace: string }) => {
      const client = openClient(io)
      const answer = await client.request('POST', `/api/v1/keys/${encodeURIComponent(ref)}/rotate`, {
        grace: options.grace,
      })
      if (options.json) return io.out(JSON.stringify(answer, null, 2))
      const born = RotatedKey.parse(answer)
      io.out(
        [
          `Rotated ${named(born)}.`,
          '',
          `  ${born.key}`,
          '',
          `Keep it now: it is not shown again. The old secret works until ${born.previousValidUntil}.`,
          ...tail(born),
          '',
          'Try the new one:',
          `  ${tryIt(client, born.key)}`,
        ].join('\n'),
      )
    })

  key
    .command('revoke')
    .description('End a key at once, for good.')
    .argument('<key>', 'Id or alias.')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('key revoke anna'))
    .action(async (ref: string, options: Json) => {
      const answer = await openClient(io).request('DELETE', `/api/v1/keys/${encodeURIComponent(ref)}`)
      if (options.json) return io.out(JSON.stringify(answer, null, 2))
      const changed = ChangedKey.parse(answer)
      io.out([`Revoked ${named(changed)}.`, ...tail(changed), 'See what is left: holdfast key list'].join('\n'))
    })
}

const named = (key: Key): string => (key.alias === null ? key.id : `${key.alias} (${key.id})`)
const mayUse = ({ models, team }: Key): string =>
  `It may use ${sayModels(models, team === null ? 'every model' : `what the team ${team} may`)}.`
const ends = ({ expiresAt }: Key): string => (expiresAt === null ? 'It does not expire.' : `It expires ${expiresAt}.`)
const day = (moment: string | null): string => (moment === null ? 'never' : moment.slice(0, 10))
const tryIt = ({ url }: Client, key: string): string => `curl ${url}/v1/models -H 'authorization: Bearer ${key}'`
const tail = ({ inForce, warnings }: z.output<typeof ChangedKey>): string[] => [
  sayInForce(inForce),
  ...warnings.map(warning => `Note: ${warning}`),
]
