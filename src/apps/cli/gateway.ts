/** `holdfast gateway`: runs one elsewhere; `token|list|remove` where the controller is. */
import type { Command } from 'commander'
import { z } from 'zod'
import { openClient } from './client.ts'
import { examples, processIo, renderTable, type CliIo } from './output.ts'
import { stopOnSignals } from './stop-on-signals.ts'

const Token = z.looseObject({
  token: z.string(),
  expiresAt: z.string(),
  addresses: z.array(z.string()),
  fingerprint: z.string(),
})
const Gateways = z.object({
  gateways: z.array(
    z.looseObject({
      gateway: z.string(),
      local: z.boolean(),
      from: z.string().nullable(),
      presence: z.string(),
      seq: z.number().nullable(),
      snapshot: z.string().nullable(),
      journalBehind: z.number().nullable(),
      problems: z.array(z.string()),
    }),
  ),
})
export type GatewayLine = z.output<typeof Gateways>['gateways'][number]
type Json = { json?: boolean }

export function registerGateway(
  program: Command,
  { env, entry }: { env: NodeJS.ProcessEnv; entry: string },
  io: CliIo = processIo,
): void {
  const gateway = program
    .command('gateway')
    .description('Run one gateway, on another machine or port than its controller; or say which may.')
    // What stands behind `token`, `list` and `remove` is theirs.
    .enablePositionalOptions()
    .option(
      '--join <token>',
      'The token of `holdfast gateway token`; or a controller’s address, with the token in HOLDFAST_JOIN_TOKEN.',
    )
    .option('--listen <address:port>', 'Where it serves (default: 127.0.0.1:8080, or HOLDFAST_HOST and HOLDFAST_PORT).')
    .option('--home <folder>', 'Its state folder (default: HOLDFAST_HOME).')
    .option('--verbose', 'Show what it does.')
    .option('--json', 'When it is up, print one line of JSON.')
    .addHelpText(
      'after',
      examples(
        'gateway token',
        'gateway --join hf-join-… --listen 0.0.0.0:8080',
        'gateway --listen 0.0.0.0:8080',
        'gateway list',
      ),
    )
    .action(async (flags: Json & { join?: string; listen?: string; home?: string; verbose?: boolean }) => {
      const { runGatewayAlone } = await import('../gateway-alone.ts')
      await runGatewayAlone(flags, {
        env,
        entry,
        say: text => process.stdout.write(text),
        signal: stopOnSignals(),
      })
      process.exit(0)
    })

  gateway
    .command('token')
    .description('Make a token that lets one gateway join, once.')
    .option('--expires <duration>', 'How long it may be used: 10m, 12h (default: 1h).')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('gateway token', 'gateway token --expires 10m --json'))
    .action(async (options: Json & { expires?: string }) => {
      const body = options.expires === undefined ? {} : { expiresIn: options.expires }
      const answer = Token.parse(await openClient({ env: io.env }).request('POST', '/api/v1/gateways/tokens', body))
      if (options.json === true) return io.out(JSON.stringify(answer, null, 2))
      io.out(
        [
          answer.token,
          '',
          `It lets one gateway in, once, until ${answer.expiresAt}. On the other machine:`,
          `  holdfast gateway --join ${answer.token} --listen 0.0.0.0:8080`,
          `It will dial ${answer.addresses.join(', then ')} (controller.addresses in the spec says where).`,
        ].join('\n'),
      )
    })

  gateway
    .command('list')
    .description('All gateways: where they are, what they have in force, and how far behind their journals are.')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('gateway list'))
    .action(async (options: Json) => {
      const answer = Gateways.parse(await openClient({ env: io.env }).request('GET', '/api/v1/gateways'))
      if (options.json === true) return io.out(JSON.stringify(answer, null, 2))
      io.out(renderGateways(answer.gateways))
    })

  gateway
    .command('remove')
    .description('Let a gateway come no more: its certificate is refused at once.')
    .argument('<id>')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('gateway remove gateway-1a2b3c4d5e6f'))
    .action(async (id: string, options: Json) => {
      const answer = await openClient({ env: io.env }).request('DELETE', `/api/v1/gateways/${encodeURIComponent(id)}`)
      if (options.json === true) return io.out(JSON.stringify(answer, null, 2))
      io.out(
        `Removed ${id}. It serves nothing more once it asks the controller again, within seconds; cut off, it could serve until gateway.maxStale.\nStop it where it runs. To let it in again: holdfast gateway token`,
      )
    })
}

/** Also a part of `holdfast status`. */
export function renderGateways(gateways: readonly GatewayLine[]): string {
  const rows = gateways.map(each => [
    each.gateway,
    each.local ? 'here' : (each.from ?? 'unknown'),
    each.presence,
    each.seq === null ? '-' : String(each.seq),
    each.snapshot === null ? '-' : each.snapshot.slice(0, 12),
    behindOf(each),
  ])
  const problems = gateways.flatMap(({ gateway, problems: told }) => told.map(problem => `${gateway}: ${problem}`))
  return [renderTable(['GATEWAY', 'WHERE', 'STATE', 'CHANGE', 'SNAPSHOT', 'JOURNAL BEHIND'], rows), ...problems].join(
    '\n',
  )
}

function behindOf({ local, journalBehind }: GatewayLine): string {
  if (local) return '-'
  return journalBehind === null ? 'unknown' : `${journalBehind} bytes`
}
