/** Audit lines as CSV (RFC 4180), safe to open in a spreadsheet. */
import type { AuditLine } from './search.ts'

const columns = [
  'time',
  'what',
  'decision',
  'who',
  'alias',
  'team',
  'model',
  'from',
  'target',
  'why',
  'id',
  'detail',
] as const satisfies readonly (keyof AuditLine)[]

export const csvHead = `${columns.join(',')}\r\n`

export const toCsv = (line: AuditLine): string => `${columns.map(column => cell(line[column])).join(',')}\r\n`

/**
 * Clients choose some of these words. A spreadsheet would compute what begins like a formula (and passes over blanks
 * before it), so an apostrophe goes in front, which it shows as text.
 */
function cell(value: AuditLine[keyof AuditLine]): string {
  if (value === null) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const safe = /^[\s\p{C}]*[=+\-@＝＋－＠|%\t\r\n]/u.test(text) ? `'${text}` : text
  return `"${safe.replaceAll('"', '""')}"`
}
