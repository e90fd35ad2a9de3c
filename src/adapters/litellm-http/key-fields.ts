/** The fields of a key that scripts set, from their words to ours. */
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import type { Key } from '../../domain/access/index.ts'
import { teamName } from '../../domain/units.ts'
import type { NewKey } from '../../services/access/index.ts'
import { toRoutes } from './allowed-routes.ts'
import { boundFields, toBounds, withoutBounds } from './bound-fields.ts'
import { flag, metadata, names, text, toEnd, toModels } from './fields.ts'
import { refuseUnsupported } from './unsupported.ts'

export const KeyFields = z.looseObject({
  key_alias: text,
  models: names,
  duration: text,
  team_id: text,
  user_id: text,
  metadata,
  blocked: flag,
  allowed_routes: names,
  ...boundFields,
})
type KeyFields = z.output<typeof KeyFields>

export type AskedKey = Omit<NewKey, 'secret'>

/** A new key. Throws FaultError `unsupported` for what would make it another key than was asked for. */
export function toAskedKey(fields: KeyFields): AskedKey {
  const { key_alias: alias, models, duration, team_id: team, user_id: user, metadata: given, ...rest } = fields
  const { blocked: _, allowed_routes: routes, ...bounded } = rest
  refuseUnsupported(withoutBounds(bounded))
  return {
    alias,
    team: team === null ? null : teamName(team),
    owner: user === null ? null : { kind: 'person', name: user },
    models: toModels(models ?? [], team !== null),
    routes: toRoutes(routes ?? []),
    expires: duration === null ? null : toEnd(duration),
    ...toBounds(bounded),
    metadata: given ?? {},
  }
}

/**
 * What a change names: null stands for left out, as LiteLLM has it. `before`: the key as it is.
 * Throws FaultError `unsupported` as `toAskedKey` does.
 */
export function toKeyChanges(fields: KeyFields, before: Key): Partial<AskedKey> {
  const asked = toAskedKey({ ...fields, team_id: fields.team_id ?? before.team })
  return {
    ...(fields.key_alias === null ? {} : { alias: asked.alias }),
    ...(fields.team_id === null ? {} : { team: asked.team }),
    ...(fields.user_id === null ? {} : { owner: asked.owner ?? null }),
    ...(fields.models === null || fields.models === undefined ? {} : { models: asked.models }),
    ...(fields.allowed_routes === null || fields.allowed_routes === undefined ? {} : { routes: asked.routes ?? null }),
    ...(fields.duration === null ? {} : { expires: asked.expires }),
    ...toBounds(fields, before),
    ...(fields.metadata === null || fields.metadata === undefined ? {} : { metadata: asked.metadata }),
  }
}

/** A key of a program: LiteLLM names it in the metadata, and wants a team. */
export function toServiceKey(fields: KeyFields): AskedKey {
  if (fields.user_id !== null) invalid('user_id', 'A service account belongs to nobody: leave user_id out.')
  if (fields.team_id === null) invalid('team_id', 'A service account belongs to a team: give team_id.')
  const { service_account_id: named, ...rest } = fields.metadata ?? {}
  const name = typeof named === 'string' && named !== '' ? named : fields.key_alias
  if (name === null) invalid('key_alias', 'Give key_alias or metadata.service_account_id, the name of the program.')
  return { ...toAskedKey({ ...fields, metadata: rest }), owner: { kind: 'service', name } }
}

function invalid(param: string, problem: string): never {
  throw new FaultError({ kind: 'request-invalid', param, problem })
}
