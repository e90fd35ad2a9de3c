/** What commands say of a key's bounds, as the administration takes it. */
import { routeScopes } from '../../domain/access/index.ts'
import { toBoundsBody, type BoundOptions } from './bound-options.ts'
import { CliError } from './client.ts'
import { listOf } from './say.ts'

/** What bounds a key, as options of a command. */
export type Bounds = BoundOptions & {
  service?: string
  person?: string
  models?: string
  routes?: string
  addresses?: string
}
/** What `key update` may say. */
export type Update = Bounds & {
  alias?: string
  /** `false`: --no-team. */
  team?: string | false
  /** `false`: --no-owner. */
  owner?: boolean
  expires?: string
  allModels?: boolean
  allRoutes?: boolean
  anywhere?: boolean
}

export const routesHelp = `What it may be used for, with commas between: ${routeScopes.join(', ')}`
export const addressesHelp = 'Where it may be used from: IP addresses and networks such as 10.0.0.0/8'

/** What both birth and change may say; null is left out. */
export function toBounds(options: Bounds): { owner: object | null; [bound: string]: unknown } {
  if (options.service !== undefined && options.person !== undefined)
    throw new CliError('A key is for a service account or for a person: give --service or --person.', 2)
  const list = (text: string | undefined): string[] | null => (text === undefined ? null : listOf(text))
  const person = options.person === undefined ? null : { kind: 'person', name: options.person }
  return {
    owner: options.service === undefined ? person : { kind: 'service', name: options.service },
    models: list(options.models),
    routes: list(options.routes),
    addresses: list(options.addresses),
    ...toBoundsBody(options),
  }
}

export function toChange(options: Update): Record<string, unknown> {
  const bounds = Object.entries(toBounds(options)).filter(([name, value]) => value !== null || name === 'budget')
  const { alias, team, expires } = options
  return {
    ...Object.fromEntries(bounds),
    ...(alias === undefined ? {} : { alias }),
    ...(team === undefined ? {} : { team: team || null }),
    ...(options.owner === false ? { owner: null } : {}),
    ...(options.allModels ? { models: null } : {}),
    ...(options.allRoutes ? { routes: null } : {}),
    ...(options.anywhere ? { addresses: null } : {}),
    ...(expires === undefined ? {} : { expiresIn: expires === 'never' ? null : expires }),
  }
}
