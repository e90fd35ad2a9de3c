/** docs/reference/errors.md, from the table of faults. */
import { listFaults } from '../../src/domain/fault.ts'

export function errorsReference(): Record<string, string> {
  const rows = listFaults().map(
    ({ kind, status, type, code }) => `| \`${code}\` | ${status} | \`${type}\` | \`${kind}\` |`,
  )
  return {
    'docs/reference/errors.md': `<!-- Made by npm run docs. -->
# Errors

Every error is \`{"error": {"message", "type", "param", "code"}}\`, with all four keys; the message says what would make it
work. In a stream that has begun, the same object comes as the last event, \`data: {"error": …}\`, and no \`[DONE]\` follows.
503 answers carry \`retry-after\`. \`code\` is for programs; the fault's name is what the journal and \`holdfast logs\` show.

| code | status | type | fault |
|---|---|---|---|
${rows.toSorted().join('\n')}
`,
  }
}
