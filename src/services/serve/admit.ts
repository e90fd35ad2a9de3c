/** Admit: may this principal use this model. */
import { FaultError } from '../../domain/fault.ts'
import type { Principal } from '../../domain/access/index.ts'
import type { ModelRoute } from '../../domain/serving/index.ts'
import type { ModelName } from '../../domain/units.ts'
import type { Stage } from './exchange.ts'

/** The routing table's models, and who may use them. */
export interface Permissions {
  model(name: string): ModelRoute | null
  mayUse(principal: Principal, model: ModelName): boolean
  permitted(principal: Principal): ModelName[]
}

export const admit =
  (permissions: Permissions): Stage =>
  next =>
  exchange => {
    const { principal, ask } = exchange
    if (principal === null || ask === null) throw new TypeError('admit comes after authenticate and read')
    const model = permissions.model(ask.model)
    if (model === null)
      throw new FaultError({ kind: 'model-unknown', model: ask.model, available: permissions.permitted(principal) })
    if (!permissions.mayUse(principal, model.name))
      throw new FaultError({ kind: 'model-not-permitted', model: model.name })
    exchange.model = model
    return next(exchange)
  }
