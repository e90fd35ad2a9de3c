/** `holdfast logs`: the requests the journal has, the newest last, as one reads a log. */
import type { Command } from 'commander'
import { openClient, type Client } from './client.ts'
import { examples, processIo, renderTable, type CliIo } from './output.ts'
import { wholeNumber } from './whole-number.ts'

type Row = {
  id: string
  time: string
  key: string | null
  alias: string | null
  model: string | null
  version: string | null
  replica: string | null
  attempts: number | null
  status: number | null
  outcome: string
  inputTokens: number | null
  outputTokens: number | null
  totalMs: number | null
}
type Flags = { json?: boolean; limit: number; key?: string; team?: string; model?: string; outcome?: string }

export function registerLogs(program: Command, io: CliIo = processIo): void {
  program
    .command('logs')
    .description('Show the latest requests: who, which model and version, how it ended, tokens and times.')
    .option('--limit <n>', 'How many, at most.', wholeNumber(1, 100_000), 50)
    .option('--key <id>', 'Only this key’s (its id or alias).')
    .option('--team <name>', 'Only this team’s.')
    .option('--model <name>', 'Only this model’s.')
    .option('--outcome <outcome>', 'Only these: ok, refused, failed, cancelled, interrupted, open.')
    .option('--json', 'One JSON object a line.')
    .addHelpText('after', examples('logs --limit 20', 'logs --outcome failed --json'))
    .action(async ({ json, limit, ...filter }: Flags) => {
      const rows = (await newest(openClient({ env: io.env }), limit, filter)).toReversed()
      if (json === true) {
        for (const row of rows) io.out(JSON.stringify(row))
        return
      }
      io.out(
        renderTable(
          ['TIME', 'KEY', 'MODEL', 'REPLICA', 'TRIES', 'STATUS', 'OUTCOME', 'IN', 'OUT', 'MS'],
          rows.map(row => [
            row.time,
            row.alias ?? row.key ?? '-',
            row.model ?? '-',
            row.replica ?? '-',
            show(row.attempts),
            show(row.status),
            row.outcome,
            show(row.inputTokens),
            show(row.outputTokens),
            show(row.totalMs),
          ]),
        ),
      )
    })
}

const pageRows = 5_000

/** The newest first, page by page. */
async function newest(client: Client, limit: number, filter: Record<string, string>): Promise<Row[]> {
  const rows: Row[] = []
  let before: string | null = null
  do {
    const query: URLSearchParams = new URLSearchParams({
      ...filter,
      limit: String(Math.min(pageRows, limit - rows.length)),
    })
    if (before !== null) query.set('before', before)
    const page = (await client.request('GET', `/api/v1/requests?${query}`)) as { requests: Row[]; next: string | null }
    rows.push(...page.requests)
    before = page.next
  } while (before !== null && rows.length < limit)
  return rows
}

const show = (value: number | null): string => (value === null ? '-' : String(value))
