/** `holdfast connect`: the settings that make a client use this service. */
import { Argument, type Command } from 'commander'
import { z } from 'zod'
import { fimPrompt } from '../../domain/catalog/index.ts'
import { versionName } from '../../domain/units.ts'
import { openClient, type Client } from './client.ts'
import { clients, type ClientSettings, type Setting } from './connect/clients.ts'
import { examples, processIo, type CliIo } from './output.ts'

type Flags = { key?: string; createKey?: boolean; team?: string; model?: string; url?: string; json?: boolean }

/** What stands where the key belongs when none is to be printed. */
const keyToFill = '<your key>'

const Models = z.object({
  data: z.array(z.object({ id: z.string() })),
  models: z.array(z.object({ name: z.string(), version: z.string() })),
})
const Created = z.object({ key: z.string() })

export function registerConnect(program: Command, io: CliIo = processIo): void {
  program
    .command('connect')
    .description('Print what a client has to be told to use this service. Changes nothing, but for --create-key.')
    .addArgument(new Argument('<client>', 'The client.').choices(Object.keys(clients)))
    .option('--model <name>', 'The model (default: the first one the key may use).')
    .option('--url <address>', 'The address as the client reaches it (default: the one this command reaches).')
    .option('--key <key>', 'Print this key in the settings (default: a placeholder).')
    .option('--create-key', 'Make a new key for this client and print it in the settings.')
    .option('--team <name>', 'With --create-key: the team whose models the key may use.')
    .option('--json', 'As JSON.')
    .addHelpText(
      'after',
      examples(
        'connect claude-code --model coder',
        'connect openwebui --create-key --team dev',
        'connect curl --key "$HOLDFAST_KEY"',
      ),
    )
    .action(async (name: string, flags: Flags, command: Command) => {
      const toSettings = clients[name]
      // The argument's choices are this table's names.
      if (toSettings === undefined) throw new TypeError(`no client ${name}`)
      if (flags.team !== undefined && flags.createKey !== true)
        command.error('error: --team says whose key to make, so it needs --create-key')
      if (flags.key !== undefined && flags.createKey === true)
        command.error('error: --key and --create-key are two answers to one question: give one')
      const client = openClient({ env: io.env })
      const key = flags.createKey === true ? await createKey(client, { name, team: flags.team }) : flags.key
      const { data, models } = await modelsOf(flags.createKey === true ? asKey(io, key ?? '') : client)
      const names = data.map(({ id }) => id)
      const model = flags.model ?? names[0] ?? '<model>'
      const version = models.find(each => each.name === model)?.version
      const connection = {
        url: (flags.url ?? client.url).replace(/\/+$/, '').replace(/\/v1$/, ''),
        key: key ?? keyToFill,
        model,
        embed: names.find(each => /embed/i.test(each)) ?? null,
        // Handlebars, as Continue fills it.
        fim:
          version === undefined
            ? null
            : fimPrompt(versionName(version), { prefix: '{{{prefix}}}', suffix: '{{{suffix}}}' }),
      }
      const settings = toSettings(connection)
      io.out(flags.json === true ? JSON.stringify({ client: name, ...connection, ...settings }) : render(settings, key))
    })
}

const asKey = (io: CliIo, key: string): Client => openClient({ env: { ...io.env, HOLDFAST_KEY: key } })

async function modelsOf(client: Client): Promise<z.output<typeof Models>> {
  return Models.parse(await client.request('GET', '/v1/models'))
}

async function createKey(client: Client, { name, team }: { name: string; team: string | undefined }): Promise<string> {
  const body = team === undefined ? {} : { team }
  const metadata = { client: name }
  return Created.parse(await client.request('POST', '/api/v1/keys', { ...body, metadata })).key
}

function render({ title, settings, notes }: ClientSettings, key: string | undefined): string {
  const missing =
    key === undefined
      ? [`Put a key where it says ${keyToFill}: --create-key makes one, or holdfast key create does.`]
      : []
  return [`${title}:`, ...settings.map(renderSetting), ...[...notes, ...missing].map(note => `Note: ${note}`)].join(
    '\n\n',
  )
}

function renderSetting(setting: Setting): string {
  switch (setting.kind) {
    case 'file':
      return `In ${setting.path}:\n\n${indent(setting.text)}`
    case 'environment':
      return `In its environment:\n\n${indent(lines(setting.variables, '='))}`
    case 'click':
      return `In ${setting.where}:\n\n${indent(lines(setting.fields, ': '))}`
    case 'code':
      return indent(setting.text)
    default:
      return setting satisfies never
  }
}

const lines = (pairs: Record<string, string>, between: string): string =>
  Object.entries(pairs)
    .map(([name, value]) => `${name}${between}${value}`)
    .join('\n')

const indent = (text: string): string => text.replaceAll(/^(?=.)/gm, '  ')
