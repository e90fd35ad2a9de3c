/** LiteLLM's `allowed_routes` and `key_type` as scopes, and back. */
import type { RouteScope } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'

/** As LiteLLM writes them, without /v1. */
const routesOf: Record<RouteScope, readonly string[]> = {
  chat: ['/chat/completions'],
  completions: ['/completions'],
  responses: ['/responses'],
  messages: ['/messages'],
  embeddings: ['/embeddings'],
  rerank: ['/rerank'],
  audio: ['/audio/transcriptions', '/audio/speech'],
  tokenize: ['/utils/token_counter'],
  models: ['/models'],
  metrics: ['/metrics'],
}
const scopes = Object.entries(routesOf).map(([scope, routes]) => ({
  // The record above has these keys and no others.
  scope: scope as RouteScope,
  routes,
}))

/** Every key may ask these of itself or of the service. */
const always = new Set([
  '/key/info',
  '/key/health',
  '/model/info',
  '/model_group/info',
  '/health',
  '/health/liveliness',
  '/health/liveness',
  '/health/readiness',
])
const everything = ['llm_api_routes', 'openai_routes']

/** `null`: every route for models. Throws FaultError `unsupported` where the key would be freer than asked. */
export function toRoutes(allowed: readonly string[]): RouteScope[] | null {
  if (allowed.length === 0) return null
  const asked = new Set(allowed.map(route => route.replace(/^\/v[12](?=\/)/, '')))
  const whole = everything.some(group => asked.has(group))
  const found = scopes.filter(({ routes }) => routes.every(route => asked.has(route)))
  const known = new Set([...found.flatMap(({ routes }) => routes), ...everything, ...always])
  const odd = [...asked].find(route => !known.has(route))
  if (odd === undefined) return whole ? null : found.map(({ scope }) => scope)
  const partOf = scopes.find(({ routes }) => routes.includes(odd))
  throw new FaultError({
    kind: 'unsupported',
    what: `'${odd.slice(0, 60)}' in allowed_routes`,
    instead:
      partOf === undefined
        ? `Routes that a key can be bound to: ${scopes.flatMap(({ routes }) => routes).join(', ')}; administration needs the admin key.`
        : `A key has ${partOf.routes.join(' and ')} together, or neither.`,
  })
}

/** LiteLLM's empty list is every route, so none at all is what every key may ask. */
export function fromRoutes(routes: readonly RouteScope[] | null): string[] {
  if (routes === null) return []
  return routes.length === 0 ? ['/key/info'] : routes.flatMap(scope => routesOf[scope])
}
