/** Serve: the whole pipeline, in the order a request meets it. */
import type { GatewayLimits } from '../../domain/serving/index.ts'
import type { Budgets, Estimates } from '../budgets/index.ts'
import type { Limiter, TokenEstimates } from '../limits/index.ts'
import { accept, type Gate } from './accept.ts'
import { admit, type Permissions } from './admit.ts'
import { authenticate, type Authenticate } from './authenticate.ts'
import { call } from './call.ts'
import { pipeline, type Serve } from './exchange.ts'
import type { Conversations } from './conversations.ts'
import type { Fleet } from './fleet.ts'
import type { Meter, Recorder, ReportUnexpected, Wire } from './ports.ts'
import type { Admission } from './queue.ts'
import { read } from './read.ts'
import { record } from './record.ts'
import { route } from './route.ts'
import type { Samples } from './samples.ts'
import type { Shadow } from './shadow.ts'

export type ServeParts = {
  gate: Gate
  limits: () => GatewayLimits
  stale: () => string | null
  lookUp: Authenticate
  permissions: Permissions
  limiter: Limiter
  usual: TokenEstimates
  budgets: Budgets
  estimates: Estimates
  admission: Admission
  /** Nothing new may be taken in: memory is short. */
  mustShed: () => boolean
  fleet: Fleet
  shadow: Shadow
  samples: Samples
  wire: Wire
  conversations: Conversations
  recorder: Recorder
  meter: Meter
  report: ReportUnexpected
  now: () => number
}

/** Always resolves: `record` turns whatever happens into an answer and a journal entry. */
export function openServe(parts: ServeParts): Serve {
  return record(
    pipeline(
      accept(parts.gate, parts),
      authenticate(parts.lookUp, parts.now),
      read(parts),
      admit(parts),
      route(call(parts), parts),
    ),
    parts,
  )
}
