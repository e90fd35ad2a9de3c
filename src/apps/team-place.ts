/** Where the spec declares a team, for whoever tries to change it elsewhere. */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { isMap, isSeq, LineCounter, parseDocument } from 'yaml'

/** `holdfast.yaml:12`; only the file's name when the team is not found in it; `null` without a file. */
export function placeOfTeam(path: string | null, name: string): string | null {
  if (path === null) return null
  const file = basename(path)
  try {
    const lineCounter = new LineCounter()
    const teams = parseDocument(readFileSync(path, 'utf8'), { lineCounter }).get('teams')
    const found = isSeq(teams) ? teams.items.find(item => isMap(item) && item.get('name') === name) : undefined
    const start = isMap(found) ? found.range?.[0] : undefined
    return start === undefined ? file : `${file}:${lineCounter.linePos(start).line}`
  } catch {
    // The file may be gone or half-written since it was read.
    return file
  }
}
