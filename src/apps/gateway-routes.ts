/** The gateway's own answers: models, health, metrics. All from memory. */
import type { Plain, PlainRequest } from '../adapters/openai-http/index.ts'
import { permittedModels, type Principal } from '../domain/access/index.ts'
import { FaultError } from '../domain/fault.ts'
import { toModelList, toModelObject, type ModelListing } from '../domain/serving/index.ts'
import type { Authenticate, Fleet } from '../services/serve/index.ts'
import type { GatewayState } from './gateway-state.ts'

export type RouteParts = {
  fleet: Fleet
  state: GatewayState
  metrics: { text(): Promise<string>; contentType: string }
  lookUp: Authenticate
  draining: () => boolean
  now: () => number
}

export function plainRoutes({
  fleet,
  state,
  metrics,
  lookUp,
  draining,
  now,
}: RouteParts): Record<string, (request: PlainRequest) => Plain | Promise<Plain>> {
  const startedAt = Math.trunc(now() / 1000)

  const models = (request: PlainRequest): Plain => ok(toModelList(listings(principalOf(request)), startedAt))
  const model = (request: PlainRequest): Plain => {
    const permitted = listings(principalOf(request))
    const wanted = decodeName(request.path.slice(request.path.indexOf('/models/') + '/models/'.length))
    const found = permitted.find(({ name }) => name === wanted)
    if (found === undefined)
      throw new FaultError({ kind: 'model-unknown', model: wanted, available: permitted.map(({ name }) => name) })
    return ok(toModelObject(found.name, startedAt))
  }
  const health = (): Plain => {
    const statuses = fleet.models().flatMap(name => {
      const route = fleet.model(name)
      return route === null ? [] : [fleet.status(route.live)]
    })
    const loaded = statuses.filter(status => status === 'loaded').length
    return ok({ status: draining() ? 'draining' : 'ok', models: { loaded, total: statuses.length } })
  }
  const readiness = (): Plain => {
    const why = draining() ? 'draining' : state.stale()
    return {
      status: why === null ? 200 : 503,
      body: { status: why === null ? 'ready' : 'not ready', why, controller: state.connected() ? 'connected' : 'away' },
    }
  }
  const alive = (): Plain => ok("I'm alive!")

  return {
    '/v1/models': models,
    '/v1/models/': model,
    '/models': models,
    '/models/': model,
    '/health': health,
    '/v1/health': health,
    '/health/liveliness': alive,
    '/health/liveness': alive,
    '/health/readiness': readiness,
    '/metrics': async request => {
      if (!isLoopback(request.from)) principalOf(request)
      return { status: 200, body: await metrics.text(), contentType: metrics.contentType }
    },
  }

  function principalOf({ key }: PlainRequest): Principal {
    if (key === null) throw new FaultError({ kind: 'key-missing' })
    const found = lookUp(key, now())
    if (!found.ok) throw new FaultError({ kind: 'key-refused', why: found.why })
    return found.principal
  }

  function listings(principal: Principal): ModelListing[] {
    return permittedModels(state.access(), principal, fleet.models()).flatMap(name => {
      const route = fleet.model(name)
      return route === null ? [] : [{ name, version: route.live, status: fleet.status(route.live) }]
    })
  }
}

function decodeName(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    const problem = 'The model name in the path has a % that is not followed by UTF-8 in hex.'
    throw new FaultError({ kind: 'request-invalid', param: 'model', problem }, { cause: error })
  }
}

const ok = (body: unknown): Plain => ({ status: 200, body })

/** Addresses of this machine, as sockets spell them. */
function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.')
}
