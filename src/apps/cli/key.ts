/** `holdfast key create|list|update|rotate|block|unblock|revoke`. */
import type { Command } from 'commander'
import { z } from 'zod'
import { addBoundOptions, Bounded, sayBounds } from './bound-options.ts'
import { CliError, openClient } from './client.ts'
import type { Client } from './client.ts'
import { addressesHelp, routesHelp, toBounds, toChange } from './key-options.ts'
import type { Bounds, Update } from './key-options.ts'
import { examples, processIo, renderTable } from './output.ts'
import type { CliIo } from './output.ts'
import { InForce, sayInForce, sayModels } from './say.ts'

const Key = z.looseObject({
  ...Bounded.shape,
  id: z.string(),
  alias: z.string().nullable(),
  team: z.string().nullable(),
  owner: z.object({ kind: z.string(), name: z.string() }).nullable(),
  models: z.array(z.string()).nullable(),
  routes: z.array(z.string()).nullable(),
  addresses: z.array(z.string()).nullable(),
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
  const key = program.command('key').description('API keys: create, list, update, rotate, block, revoke.')

  const create = key
    .command('create')
    .description('Make a key; it is shown once.')
    .option('--alias <name>', 'A name for people, unique among keys in use.')
    .option('--team <name>', 'The team it belongs to.')
    .option('--service <name>', 'The service account (a program) it is for.')
    .option('--person <name>', 'The person it is for.')
    .option('--models <names>', 'Models it may use, with commas between (default: what its team may, else all).')
    .option('--routes <names>', `${routesHelp} (default: all).`)
    .option('--addresses <list>', `${addressesHelp} (default: anywhere).`)
    .option('--expires <duration>', 'How long it lives: 12h, 30d, 2w (default: for good).')
    .option('--json', 'As JSON.')
  addBoundOptions(create)
    .addHelpText(
      'after',
      examples(
        'key create --alias anna',
        'key create --alias ci --team dev --models coder,embed --expires 30d --json',
        'key create --service ci-bot --team dev --routes chat,models --addresses 10.8.0.0/24',
        'key create --alias guest --requests-per-minute 60 --parallel 2 --budget "20 EUR/30d"',
      ),
    )
    .action(async (options: Json & Bounds & { alias?: string; team?: string; expires?: string }) => {
      const client = openClient(io)
      const answer = await client.request('POST', '/api/v1/keys', {
        alias: options.alias ?? null,
        team: options.team ?? null,
        ...toBounds(options),
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
    .option('--team <name>', 'Only those of this team.')
    .option('--service <name>', 'Only those of this service account.')
    .option('--person <name>', 'Only those of this person.')
    .option('--json', 'As JSON, revoked keys too.')
    .addHelpText('after', examples('key list', 'key list --service ci-bot', 'key list --all --json'))
    .action(async (options: Json & { all?: boolean; team?: string; service?: string; person?: string }) => {
      const query = new URLSearchParams()
      for (const by of ['team', 'service', 'person'] as const) {
        const name = options[by]
        if (name !== undefined) query.set(by, name)
      }
      const answer = await openClient(io).request('GET', `/api/v1/keys${query.size === 0 ? '' : `?${query}`}`)
      if (options.json) return io.out(JSON.stringify(answer, null, 2))
      const keys = z
        .object({ keys: z.array(Key) })
        .parse(answer)
        .keys.filter(each => options.all || each.status !== 'revoked')
      if (keys.length === 0)
        return io.out(
          query.size > 0
            ? 'No such keys. See all: holdfast key list'
            : 'No keys yet. Make one: holdfast key create --alias <name>',
        )
      io.out(
        renderTable(
          ['ID', 'ALIAS', 'FOR', 'TEAM', 'MODELS', 'ONLY', 'LIMITS', 'STATUS', 'EXPIRES', 'CREATED'],
          keys.map(each => [
            each.id,
            each.alias ?? '-',
            each.owner === null ? '-' : `${each.owner.kind} ${each.owner.name}`,
            each.team ?? '-',
            sayModels(each.models, each.team === null ? 'all' : "the team's"),
            only(each) ?? '-',
            sayBounds(each) ?? '-',
            each.status,
            day(each.expiresAt),
            day(each.createdAt),
          ]),
        ),
      )
    })

  const update = key
    .command('update')
    .description('Change what a key may do, and until when.')
    .argument('<key>', 'Id or alias.')
    .option('--alias <name>', 'Another name.')
    .option('--team <name>', 'Another team.')
    .option('--no-team', 'No team.')
    .option('--service <name>', 'The service account it is for.')
    .option('--person <name>', 'The person it is for.')
    .option('--no-owner', 'For nobody in particular.')
    .option('--models <names>', 'Models it may use from now on, with commas between.')
    .option('--all-models', 'What its team may use, else every model.')
    .option('--routes <names>', `${routesHelp}.`)
    .option('--all-routes', 'Everything but administration.')
    .option('--addresses <list>', `${addressesHelp}.`)
    .option('--anywhere', 'From any address.')
    .option('--expires <duration>', "Ends after this time from now (12h, 30d, 2w), or 'never'.")
    .option('--json', 'As JSON.')
  addBoundOptions(update, { mayBeNone: true })
    .addHelpText(
      'after',
      examples(
        'key update anna --expires 30d',
        'key update ci --routes chat,models --all-models',
        'key update ci --tokens-per-minute 20000 --parallel none --budget "5000 tokens/1d"',
      ),
    )
    .action(async (ref: string, options: Json & Update) => {
      const change = toChange(options)
      if (Object.keys(change).length === 0)
        throw new CliError(
          "Say what changes, for example --expires 30d or --models coder. 'holdfast key update --help' lists all.",
          2,
        )
      const answer = await openClient(io).request('PATCH', path(ref), change)
      if (options.json) return io.out(JSON.stringify(answer, null, 2))
      const changed = ChangedKey.parse(answer)
      io.out(
        [
          `Changed ${named(changed)}. ${mayUse(changed)} ${ends(changed)}`,
          ...tail(changed),
          'See all: holdfast key list',
        ].join('\n'),
      )
    })

  for (const [verb, did, about, next] of [
    [
      'block',
      'Blocked',
      'Refuse a key until it is unblocked.',
      (ref: string) => `Undo it: holdfast key unblock ${ref}`,
    ],
    ['unblock', 'Unblocked', 'Let a blocked key work again.', () => 'See all: holdfast key list'],
  ] as const) {
    key
      .command(verb)
      .description(about)
      .argument('<key>', 'Id or alias.')
      .option('--json', 'As JSON.')
      .addHelpText('after', examples(`key ${verb} anna`))
      .action(async (ref: string, options: Json) => {
        const answer = await openClient(io).request('POST', `${path(ref)}/${verb}`)
        if (options.json) return io.out(JSON.stringify(answer, null, 2))
        const changed = ChangedKey.parse(answer)
        io.out([`${did} ${named(changed)}.`, ...tail(changed), next(ref)].join('\n'))
      })
  }

  key
    .command('rotate')
    .description('Give a key a new secret; the old one goes on for a while.')
    .argument('<key>', 'Id or alias.')
    .option('--grace <duration>', 'How long the old secret goes on; 0s ends it at once.', '24h')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('key rotate anna', 'key rotate anna --grace 1h'))
    .action(async (ref: string, options: Json & { grace: string }) => {
      const client = openClient(io)
      const answer = await client.request('POST', `${path(ref)}/rotate`, {
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
      const answer = await openClient(io).request('DELETE', path(ref))
      if (options.json) return io.out(JSON.stringify(answer, null, 2))
      const changed = ChangedKey.parse(answer)
      io.out([`Revoked ${named(changed)}.`, ...tail(changed), 'See what is left: holdfast key list'].join('\n'))
    })
}

const path = (ref: string): string => `/api/v1/keys/${encodeURIComponent(ref)}`
const named = (key: Key): string => (key.alias === null ? key.id : `${key.alias} (${key.id})`)
const mayUse = (key: Key): string => {
  const models = sayModels(key.models, key.team === null ? 'every model' : `what the team ${key.team} may`)
  const bounds = only(key)
  const most = sayBounds(key)
  return `It may use ${models}${bounds === null ? '' : `, only ${bounds}`}${most === null ? '' : `, at most ${most}`}.`
}
/** What bounds it beside models; `null`: nothing. */
function only({ routes, addresses }: Key): string | null {
  const bounds = [
    ...(routes === null ? [] : [`for ${routes.join(', ') || 'nothing'}`]),
    ...(addresses === null ? [] : [`from ${addresses.join(', ') || 'nowhere'}`]),
  ]
  return bounds.length === 0 ? null : bounds.join(' ')
}
const ends = ({ expiresAt }: Key): string => (expiresAt === null ? 'It does not expire.' : `It expires ${expiresAt}.`)
const day = (moment: string | null): string => (moment === null ? 'never' : moment.slice(0, 10))
const tryIt = ({ url }: Client, key: string): string => `curl ${url}/v1/models -H 'authorization: Bearer ${key}'`
const tail = ({ inForce, warnings }: z.output<typeof ChangedKey>): string[] => [
  sayInForce(inForce),
  ...warnings.map(warning => `Note: ${warning}`),
]
