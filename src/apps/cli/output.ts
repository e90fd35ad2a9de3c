/** What commands print. */

/** Where a command reads its settings and puts its answer; tests bring their own. */
export type CliIo = { env: NodeJS.ProcessEnv; out: (text: string) => void }

export const processIo: CliIo = {
  env: process.env,
  out: text => {
    process.stdout.write(`${text}\n`)
  },
}

/** Columns as wide as their widest cell; the last one runs free. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map(row => row[column]?.length ?? 0)))
  return all
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** What stands below a command's help. Each line is what follows `holdfast`. */
export function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map(line => `  $ holdfast ${line}`).join('\n')}`
}

/** A share as people read it; what was not measured is a dash. */
export const percent = (share: number): string =>
  Number.isFinite(share) ? `${Number((share * 100).toFixed(1))} %` : '-'
