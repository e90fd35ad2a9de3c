/** The gateway's own answers: models, health, metrics. All from memory. */
import type { Plain, PlainRequest, PlainRoute } from '../adapters/openai-http/index.ts'
import { permittedModels, refuseByScope, type Principal, type RouteScope } from '../domain/access/index.ts'
import { toAnthropicModel, toAnthropicModels } from '../domain/dialect/index.ts'
import { FaultError } from '../domain/fault.ts'
import { toModelList, toModelObject, type ModelListing, type ModelStatus } from '../domain/serving/index.ts'
import type { TakeFeedback } from '../services/feedback/index.ts'
import { ownerOf, principalId, type Authenticate, type Conversations, type Fleet } from '../services/serve/index.ts'
import type { GatewayState } from './gateway-state.ts'

/** Of one feedback: a comment is a few sentences. */
const mostFeedbackBytes = 32 * 1024

export type RouteParts = {
  fleet: Fleet
  state: GatewayState
  metrics: { text(): Promise<string>; contentType: string }
  lookUp: Authenticate
  conversations: Conversations
  feedback: TakeFeedback
  draining: () => boolean
  now: () => number
}

export function plainRoutes({
  fleet,
  state,
  metrics,
  lookUp,
  conversations,
  feedback,
  draining,
  now,
}: RouteParts): Record<string, PlainRoute> {
  const startedAt = Math.trunc(now() / 1000)

  const models = async (request: PlainRequest): Promise<Plain> => {
    const permitted = listings(await principalOf(request, 'models'))
    return ok(
      request.surface === 'anthropic' ? toAnthropicModels(permitted, startedAt) : toModelList(permitted, startedAt),
    )
  }
  const model = async (request: PlainRequest): Promise<Plain> => {
    const permitted = listings(await principalOf(request, 'models'))
    const wanted = decodeName(request.path.slice(request.path.indexOf('/models/') + '/models/'.length))
    const found = permitted.find(({ name }) => name === wanted)
    if (found === undefined)
      throw new FaultError({ kind: 'model-unknown', model: wanted, available: permitted.map(({ name }) => name) })
    return ok(
      request.surface === 'anthropic' ? toAnthropicModel(found, startedAt) : toModelObject(found.name, startedAt),
    )
  }
  const kept = async (request: PlainRequest): Promise<Plain> => {
    const owner = ownerOf(await principalOf(request, 'responses'))
    const name = request.path.slice(request.path.indexOf('/responses/') + '/responses/'.length)
    const found = conversations.get(owner, name)
    if (found === null) throw new FaultError({ kind: 'not-found', what: 'response', name: name.slice(0, 100) })
    if (request.method !== 'DELETE') return ok(found.response)
    conversations.forget(owner, name)
    return ok({ id: name, object: 'response', deleted: true })
  }
  const thumbs = async (request: PlainRequest): Promise<Plain> => {
    const principal = await principalOf(request, null)
    const body = await request.readBody(mostFeedbackBytes)
    return ok(await feedback({ id: request.id, key: principalId(principal), body }))
  }
  const health = (): Plain => {
    const all = fleet.models().flatMap(name => {
      const route = fleet.model(name)
      return route === null ? [] : [{ model: name, version: route.live, status: fleet.status(route.live) }]
    })
    const loaded = all.filter(({ status }) => status === 'loaded').length
    const healthy = all.filter(({ status }) => isHealthy(status))
    const unhealthy = all.filter(({ status }) => !isHealthy(status))
    return ok({
      status: draining() ? 'draining' : 'ok',
      models: { loaded, total: all.length },
      // As scripts for LiteLLM read it.
      healthy_endpoints: healthy,
      unhealthy_endpoints: unhealthy,
      healthy_count: healthy.length,
      unhealthy_count: unhealthy.length,
    })
  }
  /** What the controller asks of a release's versions. */
  const versions = async (request: PlainRequest): Promise<Plain> => {
    const principal = await principalOf(request, 'models')
    if (principal.kind !== 'admin') throw new FaultError({ kind: 'admin-required', what: 'the state of versions' })
    return ok({ versions: fleet.versions() })
  }
  const readiness = (): Plain => {
    const why = draining() ? 'draining' : state.stale()
    const connected = state.connected()
    return {
      status: why === null ? 200 : 503,
      body: {
        status: why === null ? 'ready' : 'not ready',
        why,
        controller: connected ? 'connected' : 'away',
        // LiteLLM's word: the controller has the database.
        db: connected ? 'connected' : 'Not connected',
      },
    }
  }
  const alive = (): Plain => ok("I'm alive!")

  return {
    '/v1/models': { answer: models },
    '/v1/models/': { answer: model },
    '/models': { answer: models },
    '/models/': { answer: model },
    '/v1/responses/': { methods: ['DELETE'], answer: kept },
    '/responses/': { methods: ['DELETE'], answer: kept },
    '/v1/feedback': { only: ['POST'], answer: thumbs },
    '/feedback': { only: ['POST'], answer: thumbs },
    '/health': { answer: health },
    '/v1/health': { answer: health },
    '/health/versions': { answer: versions },
    '/health/liveliness': { answer: alive },
    '/health/liveness': { answer: alive },
    '/health/readiness': { answer: readiness },
    '/metrics': {
      answer: async request => {
        if (!isLoopback(request.from)) await principalOf(request, 'metrics')
        return { status: 200, body: await metrics.text(), contentType: metrics.contentType }
      },
    },
  }

  /** `route` null: open to keys of every scope. */
  async function principalOf({ key, from }: PlainRequest, route: RouteScope | null): Promise<Principal> {
    if (key === null) throw new FaultError({ kind: 'key-missing' })
    const found = await lookUp(key, now())
    if (!found.ok) throw new FaultError({ kind: 'key-refused', why: found.why })
    // Without routes in the scopes, which one is asked does not count.
    const scopes = route === null ? { ...found.scopes, routes: null } : found.scopes
    const refusal = refuseByScope(scopes, { route: route ?? 'chat', from })
    if (refusal !== null) throw new FaultError(refusal)
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

/** One that is stopped starts when it is asked. */
const isHealthy = (status: ModelStatus): boolean => status === 'loaded' || status === 'stopped'

const ok = (body: unknown): Plain => ({ status: 200, body })

/** Addresses of this machine, as sockets spell them. */
function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.')
}
