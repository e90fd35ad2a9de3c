/** `holdfast release …`: one version of a model replacing another, with evidence. */
import { writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { Command } from 'commander'
import { z } from 'zod'
import { CliError, openClient } from './client.ts'
import { examples, percent, processIo, renderTable, type CliIo } from './output.ts'
import { ReleaseView, renderRelease } from './release-view.ts'
import { stopOnSignals } from './stop-on-signals.ts'

const Releases = z.object({ releases: z.array(ReleaseView) })

type Json = { json?: boolean }
type Because = Json & { reason: string }

/** Nothing more happens by itself. */
const waits = ['live', 'aborted', 'rolled-back', 'held']

export function registerRelease(program: Command, io: CliIo = processIo): void {
  const release = program.command('release').description('Releases: no new version without evidence.')
  const ask = async (method: 'GET' | 'POST', path: string, body?: object): Promise<ReleaseView> =>
    ReleaseView.parse(await openClient({ env: io.env }).request(method, `/api/v1/releases${path}`, body))
  const tell = (answer: ReleaseView, { json }: Json): void =>
    io.out(json === true ? JSON.stringify(answer, null, 2) : renderRelease(answer))

  release
    .command('start')
    .description('Begin to replace the live version of a model.')
    .argument('<model>')
    .argument('<version>', 'The candidate, a version of the spec.')
    .option('--policy <name>', 'What it must prove, one of the spec’s releases (default: the model’s).')
    .option('--reason <text>', 'Why; kept with the release.')
    .option('--json', 'As JSON.')
    .addHelpText(
      'after',
      examples(
        'release start coder production-v2.2-qwen3-coder-30b-a3b-awq-p43',
        'release start coder production-v2.2-qwen3-coder-30b-a3b-awq-p43 --policy careful --reason "new prompt"',
      ),
    )
    .action(
      async (model: string, version: string, { policy, reason, json }: Json & { policy?: string; reason?: string }) => {
        const body = {
          model,
          version,
          ...(policy === undefined ? {} : { policy }),
          ...(reason === undefined ? {} : { reason }),
        }
        tell(await ask('POST', '', body), json === true ? { json } : {})
        if (json !== true) io.out(`\nNext: holdfast release watch ${model}`)
      },
    )

  release
    .command('status')
    .description('Where releases are, and why: of one model, or the newest of all.')
    .argument('[model]', 'A model, or the id of a release.')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('release status', 'release status coder', 'release status coder --json'))
    .action(async (model: string | undefined, options: Json) => {
      if (model !== undefined) return tell(await ask('GET', `/${encodeURIComponent(model)}`), options)
      const { releases } = Releases.parse(await openClient({ env: io.env }).request('GET', '/api/v1/releases'))
      if (options.json === true) return io.out(JSON.stringify({ releases }, null, 2))
      if (releases.length === 0) return io.out('No release yet. Begin one: holdfast release start <model> <version>')
      const rows = releases.map(each => [each.model, each.phase, percent(each.share), each.verdict, each.to, each.why])
      io.out(renderTable(['MODEL', 'PHASE', 'SHARE', 'VERDICT', 'CANDIDATE', 'WHY'], rows))
    })

  release
    .command('watch')
    .description('Follow a release until it ends or waits for a person. Exits 0 when the candidate is live, else 1.')
    .argument('<model>', 'A model, or the id of a release.')
    .option('--json', 'A line of JSON for each change.')
    .addHelpText('after', examples('release watch coder', 'release watch coder --json'))
    .action(async (model: string, options: Json) => {
      const last = await watch(() => ask('GET', `/${encodeURIComponent(model)}`), {
        json: options.json === true,
        terminal: process.stdout.isTTY === true,
        write: text => void process.stdout.write(text),
        signal: stopOnSignals(),
      })
      if (last?.phase !== 'live') process.exitCode = 1
    })

  const acts = {
    promote: 'Let the candidate take all traffic now, whatever the evidence still lacks.',
    abort: 'End a release: all new requests go to the old version at once.',
    resume: 'Let a release that is held go on where it was.',
  } as const
  for (const act of ['promote', 'abort', 'resume'] as const) {
    release
      .command(act)
      .description(acts[act])
      .argument('<model>')
      .requiredOption('--reason <text>', 'Why; kept with the release.')
      .option('--json', 'As JSON.')
      .addHelpText('after', examples(`release ${act} coder --reason "checked by hand"`))
      .action(async (model: string, { reason, ...options }: Because) =>
        tell(await ask('POST', `/${encodeURIComponent(model)}/${act}`, { reason }), options),
      )
  }

  release
    .command('report')
    .description('Everything a release was decided by, as one page of HTML that needs nothing else.')
    .argument('<model>', 'A model, or the id of a release.')
    .option('--out <file>', 'Where to (default: release-<model>.html).')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('release report coder', 'release report coder --out report.html'))
    .action(async (model: string, { out, json }: Json & { out?: string }) => {
      const path = `/api/v1/releases/${encodeURIComponent(model)}/report`
      const file = out ?? `release-${model.replaceAll(/[^\w.-]/g, '-')}.html`
      const parts: Uint8Array[] = []
      for await (const part of openClient({ env: io.env }).download(path)) parts.push(part)
      try {
        writeFileSync(file, Buffer.concat(parts))
      } catch (error) {
        throw new CliError(`${file} can't be written: ${error instanceof Error ? error.message : String(error)}`)
      }
      io.out(json === true ? JSON.stringify({ file }) : `Written: ${file}`)
    })
}

type Watching = { json: boolean; terminal: boolean; write: (text: string) => void; signal: AbortSignal }
const lookEveryMs = 1_000

/** `null`: it was stopped before anything was heard. */
async function watch(
  read: () => Promise<ReleaseView>,
  { json, terminal, write, signal }: Watching,
): Promise<ReleaseView | null> {
  let told = ''
  let lines = 0
  let last = null
  while (!signal.aborted) {
    last = await read()
    const text = json ? JSON.stringify(last) : renderRelease(last)
    if (text !== told) {
      // The view is written over itself on a terminal; elsewhere each state follows the one before.
      if (terminal && !json && lines > 0) write(`\u001b[${lines}A\u001b[J`)
      write(`${text}\n${json || terminal ? '' : '\n'}`)
      lines = text.split('\n').length
      told = text
    }
    if (waits.includes(last.phase)) break
    await pause(lookEveryMs, undefined, { signal }).catch(() => undefined)
  }
  return last
}
