/** docs/reference/conformance.md, from the tables that the conformance suite proves cell by cell. */
import {
  clients,
  engines,
  limits,
  meaning,
  nameOf,
  outcomeOf,
  quirkRows,
  quirks,
  rows,
  type Feature,
  type Limit,
  type Row,
} from '../../test/conformance/table.ts'

const notes = Object.keys(limits)
const noteOf = (limit: Limit): string => `[${notes.indexOf(limit) + 1}]`
const columns = engines.map(({ name, real }) => (real ? `**${name}**` : name))

export function conformanceReference(): Record<string, string> {
  const wide: readonly Row[] = rows.filter(row => row.features.length > 4)
  const narrow: readonly Row[] = rows.filter(row => row.features.length <= 4)
  return {
    'docs/reference/conformance.md': `<!-- Made by npm run docs. -->
# Conformance

What official clients get from every engine through Holdfast, in every dialect. Each cell is a test of
\`bin/node24 scripts/verify.ts --only conformance\`, and each test is one of these cells or flaws: a \`yes\` that fails and a \`–\` that
works both fail the suite. Requests go through a whole service over loopback.

| | |
|---|---|
| yes | works, and is held to what the client shows its caller |
| – | the engine, as it was started, has no such thing: status 400, which names it and what to do instead |
| [n] | works otherwise than one would think: see the notes; that is tested too |
| · | not tried: a real program can't be made to do it on request; its fake is |

Engines in bold are the programs themselves: \`embedded\` with the smoke model, and llama-server with it, where that was
built (\`bin/node24 scripts/llama-server.ts\`). The others are fakes that are held to recordings and to the engines' own
source, field by field: \`tools/fake-engine\`.

| client | |
|---|---|
${Object.entries(clients)
  .map(([name, what]) => `| ${name} | ${what} |`)
  .join('\n')}

## Notes
${notes.map((limit, index) => `${index + 1}. ${Object.values(limits)[index] ?? limit}`).join('\n')}

${wide
  .map(
    row =>
      `## ${nameOf(row)}\n${table(
        '',
        row.features.map(feature => ({ head: feature, row, feature })),
      )}`,
  )
  .join('\n\n')}

## Everything else
${table(
  '',
  narrow.flatMap(row => row.features.map(feature => ({ head: `${nameOf(row)} › ${feature}`, row, feature }))),
)}

## What is tried
| | |
|---|---|
${Object.entries(meaning)
  .map(([feature, text]) => `| ${feature} | ${text} |`)
  .join('\n')}

## What engines get wrong
Each of these is asked of every fake engine, and not seen by ${quirkRows.join(', ')}:

| flaw | |
|---|---|
${Object.entries(quirks)
  .map(([quirk, text]) => `| \`${quirk}\` | ${text} |`)
  .join('\n')}
`,
  }
}

type Line = { head: string; row: Row; feature: Feature }

function table(corner: string, lines: readonly Line[]): string {
  const cells = lines.map(({ head, row, feature }) =>
    [head, ...engines.map(({ name }) => cellOf(row, feature, name))].join(' | '),
  )
  return [
    `| ${[corner, ...columns].join(' | ')} |`,
    `|${'---|'.repeat(columns.length + 1)}`,
    ...cells.map(cell => `| ${cell} |`),
  ].join('\n')
}

function cellOf(...cell: Parameters<typeof outcomeOf>): string {
  const outcome = outcomeOf(...cell)
  switch (outcome.is) {
    case 'yes':
      return 'yes'
    case 'refused':
      return '–'
    case 'limited':
      return noteOf(outcome.limit)
    case 'untried':
      return '·'
    default:
      return outcome satisfies never
  }
}
