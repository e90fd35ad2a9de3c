/** `holdfast flag list|set|reset`. */
import type { Command } from 'commander'
import { z } from 'zod'
import { CliError, openClient } from './client.ts'
import { examples, percent, processIo, renderTable, type CliIo } from './output.ts'
import { listOf } from './say.ts'

const Flag = z.object({
  name: z.string(),
  teams: z.array(z.string()),
  share: z.number(),
  answers: z.object({ model: z.string(), by: z.string() }).nullable(),
  spec: z.object({ teams: z.array(z.string()), share: z.number() }).nullable(),
  setAt: z.string().nullable(),
})
const Flags = z.object({ flags: z.array(Flag) })
type Json = { json?: boolean }

export function registerFlag(program: Command, io: CliIo = processIo): void {
  const flag = program.command('flag').description('Flags: features that are on for some, switched without a deploy.')
  const path = (name: string): string => `/api/v1/flags/${encodeURIComponent(name)}`

  flag
    .command('list')
    .description('All flags of the spec, and how they are now.')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('flag list'))
    .action(async (options: Json) => {
      const answer = Flags.parse(await openClient({ env: io.env }).request('GET', '/api/v1/flags'))
      if (options.json === true) return io.out(JSON.stringify(answer, null, 2))
      if (answer.flags.length === 0) return io.out("The spec has no flags: add some under 'flags', and apply it.")
      io.out(renderTable(['FLAG', 'TEAMS', 'SHARE', 'DOES', 'SET'], answer.flags.map(rowOf)))
    })

  flag
    .command('set')
    .description('Switch a flag, until it is reset: in force at once, above what the spec says.')
    .argument('<name>')
    .option('--share <part>', 'For this part of the keys: 0.2, 20%.')
    .option('--teams <names>', 'For these teams, with commas between; "" for all.')
    .option('--json', 'As JSON.')
    .addHelpText(
      'after',
      examples('flag set rag-handbook --share 20%', 'flag set rag-handbook --teams dev,ops --share 1'),
    )
    .action(async (name: string, { share, teams, json }: Json & { share?: string; teams?: string }) => {
      if (share === undefined && teams === undefined)
        throw new CliError('Say what to set: --share, --teams, or both.', 2)
      const body = {
        ...(share === undefined ? {} : { share: toShare(share) }),
        ...(teams === undefined ? {} : { teams: listOf(teams) }),
      }
      tell(Flag.parse(await openClient({ env: io.env }).request('PATCH', path(name), body)), json)
    })

  flag
    .command('reset')
    .description('Let a flag be as the spec says again.')
    .argument('<name>')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('flag reset rag-handbook'))
    .action(async (name: string, { json }: Json) =>
      tell(Flag.parse(await openClient({ env: io.env }).request('DELETE', path(name))), json),
    )

  function tell(answer: z.output<typeof Flag>, json: boolean | undefined): void {
    if (json === true) return io.out(JSON.stringify(answer, null, 2))
    const [name, teams, share] = rowOf(answer)
    io.out(`${name}: on for ${share} of the keys of ${teams}${answer.spec === null ? ', as the spec says' : ''}.`)
  }
}

const rowOf = ({ name, teams, share, answers, setAt }: z.output<typeof Flag>): string[] => [
  name,
  teams.length === 0 ? 'all' : teams.join(', '),
  percent(share),
  answers === null ? '-' : `${answers.model} is answered by ${answers.by}`,
  setAt ?? '-',
]

function toShare(text: string): number {
  const [, number = '', sign] = /^(\d+(?:\.\d+)?)\s*(%?)$/.exec(text.trim()) ?? []
  const value = sign === '%' ? Number(number) / 100 : Number(number)
  if (number === '' || value > 1)
    throw new CliError(`'${text}' is no share: write a number from 0 to 1, or per cent, such as 20%.`, 2)
  return value
}
