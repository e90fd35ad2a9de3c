/** `holdfast audit search|export|erase|erasures|verify`: who did what, and proof that it is as it was written. */
import type { Command } from 'commander'
import { z } from 'zod'
import { exportAudit } from './audit-export.ts'
import { addBounds, toQuery, type Bounds } from './audit-options.ts'
import { CliError, openClient, type Client } from './client.ts'
import { examples, processIo, renderTable, type CliIo } from './output.ts'
import { wholeNumber } from './whole-number.ts'

const Entry = z.looseObject({
  id: z.string(),
  time: z.string(),
  what: z.string(),
  who: z.string().nullable(),
  alias: z.string().nullable(),
  from: z.string().nullable(),
  target: z.string().nullable(),
  decision: z.string(),
  why: z.string().nullable(),
})
type Entry = z.output<typeof Entry>
const Page = z.object({ entries: z.array(Entry), next: z.string().nullable() })

const Person = z.object({
  keys: z.array(z.string()),
  names: z.array(z.string()),
  living: z.array(z.string()),
  requests: z.number(),
  acts: z.number(),
})
const Erasure = z.looseObject({
  id: z.string(),
  at: z.string(),
  state: z.enum(['running', 'waiting', 'done']),
  rows: z.number(),
  lines: z.number(),
  waiting: z.number(),
  older: z.number(),
})
type Erasure = z.output<typeof Erasure>
const Begun = Erasure.extend({ living: z.array(z.string()) })

const Verification = z.looseObject({
  intact: z.boolean(),
  epochs: z.number(),
  lines: z.number(),
  erased: z.number(),
  broken: z.array(
    z.object({
      epoch: z.string(),
      segment: z.number().nullable(),
      line: z.number().nullable(),
      what: z.string(),
      detail: z.string(),
    }),
  ),
  retained: z.array(z.looseObject({ rule: z.string() })),
})

type Json = { json?: boolean }
const pageRows = 1_000
const pollMs = 300

export function registerAudit(program: Command, io: CliIo = processIo): void {
  const audit = program.command('audit').description('Who did what, from where, and why it was allowed or not; proved.')

  addBounds(audit.command('search').description('Find requests and administrative acts, the newest first.'))
    .option('--limit <n>', 'How many, at most.', wholeNumber(1, 100_000), 50)
    .option('--json', 'One JSON object a line.')
    .addHelpText(
      'after',
      examples(
        'audit search --since 2h',
        'audit search --what "key.*" --decision refused',
        'audit search --who anna --model coder --since 30d --json',
      ),
    )
    .action(async ({ limit, json, ...bounds }: Bounds & Json & { limit: number }) => {
      const { entries, more } = await newest(openClient(io), limit, bounds)
      if (json === true) {
        for (const entry of entries) io.out(JSON.stringify(entry))
        return
      }
      io.out(renderTable(['TIME', 'WHAT', 'WHO', 'FROM', 'TARGET', 'DECISION', 'WHY'], entries.map(toRow)))
      if (more) io.out('There is more: raise --limit, or take all of it with holdfast audit export.')
    })

  addBounds(audit.command('export').description('Write everything that matches, as JSON lines or CSV.'))
    .option('--format <format>', 'jsonl (default) or csv (safe to open in a spreadsheet).')
    .option('--json', 'The same as --format jsonl.')
    .option('-o, --output <file>', 'Into a file, which appears once it is whole (default: standard output).')
    .addHelpText(
      'after',
      examples('audit export --since 30d -o audit.jsonl', 'audit export --format csv --what "key.*"'),
    )
    .action(
      async ({ format = 'jsonl', json, output, ...bounds }: Bounds & Json & { format?: string; output?: string }) => {
        if (json === true && format === 'csv') throw new CliError('--json and --format csv exclude each other.', 2)
        if (format !== 'jsonl' && format !== 'csv')
          throw new CliError(`--format is '${format}'; it should be jsonl or csv.`, 2)
        const query = toQuery(bounds)
        query.set('format', format)
        await exportAudit(openClient(io), { path: `/api/v1/audit/export?${query}`, output: output ?? null })
      },
    )

  audit
    .command('erase')
    .description('Take somebody out of the records and out of the journal, which still verifies afterwards.')
    .requiredOption('--who <ref>', 'A key (id or alias), a person, or a token’s subject.')
    .option('--dry-run', 'Only tell what would go.')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('audit erase --who anna --dry-run', 'audit erase --who jwt:anna@example.com'))
    .action(async ({ who, dryRun, json }: Json & { who: string; dryRun?: boolean }) => {
      const client = openClient(io)
      if (dryRun === true) {
        const answer = await client.request('GET', `/api/v1/audit/person?${new URLSearchParams({ who })}`)
        return io.out(json === true ? JSON.stringify(answer) : sayPerson(Person.parse(answer), who))
      }
      const begun = Begun.parse(await client.request('POST', '/api/v1/audit/erasures', { who }))
      const erasure = await untilPassed(client, begun)
      if (json === true) return io.out(JSON.stringify({ ...erasure, living: begun.living }))
      io.out([sayErasure(erasure), ...sayLiving(begun.living)].join('\n'))
    })

  audit
    .command('erasures')
    .description('List erasures, and what they still wait for.')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('audit erasures'))
    .action(async ({ json }: Json) => {
      const answer = await openClient(io).request('GET', '/api/v1/audit/erasures')
      if (json === true) return io.out(JSON.stringify(answer))
      const { erasures } = z.object({ erasures: z.array(Erasure) }).parse(answer)
      io.out(
        renderTable(
          ['BEGUN', 'ID', 'STATE', 'ROWS', 'LINES', 'WAITING', 'OLDER'],
          erasures.map(({ at, id, state, ...counts }) => [
            ...[at, id, state],
            ...[counts.rows, counts.lines, counts.waiting, counts.older].map(String),
          ]),
        ),
      )
    })

  audit
    .command('verify')
    .description('Recompute the journal’s chains and compare them with the anchors the controller keeps.')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('audit verify', 'audit verify --json'))
    .action(async (options: Json) => {
      const answer = await openClient(io).request('GET', '/api/v1/audit/verify')
      const found = Verification.parse(answer)
      if (options.json === true) io.out(JSON.stringify(answer))
      else if (found.intact) io.out(sayIntact(found))
      if (found.intact) return
      const places = found.broken.map(
        ({ epoch, segment, line, what, detail }) =>
          `  ${epoch}${segment === null ? '' : `, segment ${segment}`}${line === null ? '' : `, line ${line}`}: ${what}. ${detail}`,
      )
      throw new CliError(
        options.json === true
          ? 'The journal was changed.'
          : `The journal was changed:\n${places.join('\n')}\nRestore it from a backup, or find out who wrote to the journal folder.`,
        1,
      )
    })
}

/** The newest first, page by page. `more`: there are others behind them. */
async function newest(client: Client, limit: number, bounds: Bounds): Promise<{ entries: Entry[]; more: boolean }> {
  const entries: Entry[] = []
  let before: string | null = null
  do {
    const query = toQuery(bounds)
    query.set('limit', String(Math.min(pageRows, limit - entries.length)))
    if (before !== null) query.set('before', before)
    const page = Page.parse(await client.request('GET', `/api/v1/audit?${query}`))
    entries.push(...page.entries)
    before = page.next
  } while (before !== null && entries.length < limit)
  return { entries, more: before !== null }
}

const toRow = ({ time, what, who, alias, from, target, decision, why }: Entry): string[] => [
  ...[time, what, alias ?? who ?? '-', from ?? '-', target ?? '-', decision, why ?? '-'],
]

/** Once through everything there is; what is still written comes later by itself. */
async function untilPassed(client: Client, begun: Erasure): Promise<Erasure> {
  const terminal = process.stderr.isTTY === true
  for (let now = begun; ;) {
    if (terminal) process.stderr.write(`\r${now.rows} rows, ${now.lines} lines …`)
    if (now.state !== 'running') {
      if (terminal) process.stderr.write('\r\u001b[K')
      return now
    }
    await new Promise(resolve => setTimeout(resolve, pollMs))
    const answer = await client.request('GET', '/api/v1/audit/erasures')
    const { erasures } = z.object({ erasures: z.array(Erasure) }).parse(answer)
    now = erasures.find(each => each.id === begun.id) ?? now
  }
}

function sayPerson({ keys, names, living, requests, acts }: z.output<typeof Person>, who: string): string {
  return [
    `${requests} requests and ${acts} acts are about ${who}.`,
    `Keys and subjects: ${keys.join(', ')}`,
    `Names: ${names.join(', ') || '-'}`,
    ...sayLiving(living),
    `Take them out: holdfast audit erase --who ${JSON.stringify(who)}`,
  ].join('\n')
}

function sayErasure({ rows, lines, waiting, older, state }: Erasure): string {
  const gone = `Erased: ${rows} rows of the database, ${lines} lines of the journal.`
  const later = `${waiting} lines are in segments that are still written; they go when these are closed, within the hour (holdfast audit erasures).`
  const old = `${older} lines are older than erasure; they go with retention (capture.retention).`
  return [gone, ...(state === 'done' ? [] : [later]), ...(older === 0 ? [] : [old])].join('\n')
}

const sayLiving = (living: readonly string[]): string[] =>
  living.length === 0
    ? []
    : [`Not revoked, so what they do from now on is recorded: ${living.join(', ')} (holdfast key revoke).`]

function sayIntact({ lines, epochs, erased, retained }: z.output<typeof Verification>): string {
  const rules = [...new Set(retained.map(each => each.rule))].join(', ')
  return [
    `The journal is intact: ${lines} lines, ${epochs} ${epochs === 1 ? 'epoch' : 'epochs'}.`,
    ...(erased === 0 ? [] : [`${erased} lines were erased, and an act in the chain vouches for each.`]),
    ...(retained.length === 0
      ? []
      : [`Of ${retained.length} ${retained.length === 1 ? 'epoch' : 'epochs'} the oldest part went by ${rules}.`]),
  ].join('\n')
}
