/** What bounds an audit search or export. */
import type { Command } from 'commander'

export type Bounds = {
  who?: string
  team?: string
  model?: string
  from?: string
  what?: string
  decision?: string
  since?: string
  until?: string
  text?: string
}

export const addBounds = (command: Command): Command =>
  command
    .option('--who <ref>', 'By or about this key (id or alias), person, token’s subject, admin or controller.')
    .option('--team <name>', 'Only this team’s.')
    .option('--model <name>', 'Only requests for this model.')
    .option('--from <address>', 'Only from this address.')
    .option('--what <name>', 'request, an act such as key.create, or all of a noun: "key.*".')
    .option('--decision <decision>', 'Only these: done, refused, failed, cancelled, interrupted, open.')
    .option('--since <when>', 'From then on: a moment (ISO 8601), or how long ago (2h, 30d).')
    .option('--until <when>', 'Before then.')
    .option('--text <words>', 'Only entries in which these words stand.')

export function toQuery(bounds: Bounds): URLSearchParams {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(bounds)) if (value !== undefined) query.set(name, toMoment(name, value))
  return query
}

/** People write days; the service takes moments. */
const toMoment = (name: string, value: string): string =>
  (name === 'since' || name === 'until') && /^\d{4}-\d\d-\d\d$/.test(value) ? `${value}T00:00:00Z` : value
