/** `holdfast apply` and `holdfast diff`: the spec's file against what is served. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { z } from 'zod'
import { openClient } from './client.ts'
import { examples, processIo, type CliIo } from './output.ts'

const Changes = z.array(
  z.object({ what: z.string(), name: z.string(), change: z.string(), details: z.array(z.string()) }),
)
const Difference = z.object({ spec: z.string().nullable(), changes: Changes })
const Applied = Difference.extend({
  snapshot: z.string(),
  inForce: z.object({ acknowledged: z.array(z.string()), waitingFor: z.array(z.string()) }),
})
type Json = { json?: boolean }

export function registerApply(program: Command, io: CliIo = processIo): void {
  program
    .command('apply')
    .description('Put the spec in force as its file is now: all of it, or nothing. No request is cut.')
    .argument('[spec]', 'The spec (default: the one that the service was started with).')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('apply', 'apply holdfast.yaml --json'))
    .action(async (spec: string | undefined, options: Json) => {
      const body = spec === undefined ? {} : { spec: resolve(spec) }
      const answer = Applied.parse(await openClient({ env: io.env }).request('POST', '/api/v1/apply', body))
      if (options.json === true) return io.out(JSON.stringify(answer, null, 2))
      const { acknowledged, waitingFor } = answer.inForce
      io.out(renderChanges(answer.changes))
      io.out(`In force at ${acknowledged.length === 0 ? 'no gateway yet' : acknowledged.join(', ')}.`)
      if (waitingFor.length > 0)
        io.out(
          `Not yet at ${waitingFor.join(', ')}: told as soon as it answers; until then it may serve what was before.\nNext: holdfast gateway list`,
        )
    })

  program
    .command('diff')
    .description('Show what `holdfast apply` would change. Exits 0 when nothing would, 1 when something would.')
    .argument('[spec]', 'The spec (default: the one that the service was started with).')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('diff', 'diff --json'))
    .action(async (spec: string | undefined, options: Json) => {
      const query = spec === undefined ? '' : `?${new URLSearchParams({ spec: resolve(spec) })}`
      const answer = Difference.parse(await openClient({ env: io.env }).request('GET', `/api/v1/diff${query}`))
      io.out(options.json === true ? JSON.stringify(answer, null, 2) : renderChanges(answer.changes))
      if (answer.changes.length > 0) process.exitCode = 1
    })
}

const signs: Readonly<Record<string, string>> = { added: '+', removed: '-', changed: '~' }

function renderChanges(changes: z.output<typeof Changes>): string {
  if (changes.length === 0) return 'Nothing differs: what is served is what the spec says.'
  return changes
    .map(({ what, name, change, details }) =>
      [`${signs[change] ?? '?'} ${what} ${name}`, ...details.map(detail => `    ${detail}`)].join('\n'),
    )
    .join('\n')
}
