/** What commands talk to: the environment, the terminal, the exit code. And how they end. */

export type CliIo = {
  env: NodeJS.ProcessEnv
  /** Answers, and nothing else: `--json` must stay one document. */
  out: (text: string) => void
  /** Notes and errors. */
  err: (text: string) => void
  /** 0 done, 1 said no, 2 wrong usage. */
  setExitCode: (code: 0 | 1 | 2) => void
}

export const processIo: CliIo = {
  env: process.env,
  out: text => { process.stdout.write(`${text}\n`) },
  err: text => { process.stderr.write(`${text}\n`) },
  setExitCode: code => { process.exitCode = code },
}

/** Ends a command. The message says what happened and what to do. */
export class CliError extends Error {
  readonly exitCode: 1 | 2
  /** The service's own code (`conflict`, `not_found` …), for scripts; `null` when it is ours. */
  readonly code: string | null
  constructor(message: string, { exitCode = 1, code = null, ...options }: { exitCode?: 1 | 2; code?: string | null } & ErrorOptions = {}) {
    super(message, options)
    this.name = 'CliError'
    this.exitCode = exitCode
    this.code = code
  }
}

/** Runs a command's work and tells how it ended: under `--json` an error is a document too. Bugs pass through. */
export async function endsWell({ io, json = false }: { io: CliIo; json?: boolean | undefined }, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    if (json) io.out(JSON.stringify({ error: { message: error.message, code: error.code } }))
    else io.err(`holdfast: ${error.message}`)
    io.setExitCode(error.exitCode)
  }
}

/** Columns as wide as their widest cell; the last one runs free. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map(row => row[column]?.length ?? 0)))
  return all.map(row => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()).join('\n')
}
