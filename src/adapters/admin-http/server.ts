/** The controller's HTTP server: sizes, request ids, and the one place where its errors become answers. */
import { randomUUID } from 'node:crypto'
import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
} from 'fastify-type-provider-zod'
import { FaultError, toHttp } from '../../domain/fault.ts'
import type { Fault } from '../../domain/fault.ts'
import { bytes } from '../../domain/units.ts'

const bodyLimit = 1024 * 1024

export type AdminLog = { error: (details: object, message: string) => void }

/** Named as the server is made, and not set afterwards: Fastify would load its own, a hundred modules, at every start. */
const compilersFactory = {
  buildValidator: () => validatorCompiler,
  buildSerializer: () => serializerCompiler,
  // Fastify's types foresee no compilers but its own here; it uses these as it uses those that are set afterwards.
} as unknown as CompilersFactory
type CompilersFactory = NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>

/**
 * Routes are registered on what this answers. Nothing logs requests: their bodies and query strings hold secrets.
 * Errors nobody foresaw are logged whole, and told briefly.
 */
export async function openAdminServer({ version, log }: { version: string; log: AdminLog }): Promise<FastifyInstance> {
  const app = Fastify({
    logger: false,
    bodyLimit,
    // The gateway's id for the request; what dials the socket directly gets one of its own.
    requestIdHeader: 'x-request-id',
    genReqId: () => randomUUID(),
    forceCloseConnections: true,
    // What no route could be looked up for is answered before there are hooks.
    frameworkErrors: (error, request, reply) =>
      void sendError(error, request, reply.header('x-request-id', idOf(request))),
    schemaController: { compilersFactory },
  })

  const parseJson = app.getDefaultJsonParser('error', 'error')
  // DELETE and rotate need no body, and clients that always say JSON send an empty one.
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined)
    else parseJson(request, body.toString(), (error, value) => done(error ?? tooDeep(value), value))
  })

  app.addHook('onSend', async (request, reply) => {
    reply.header('x-request-id', idOf(request))
    // Fastify ends the connection after a body it refused. The gateway would meet the end before it reads the answer.
    reply.removeHeader('connection')
  })
  app.setNotFoundHandler(request => {
    throw new FaultError({ kind: 'route-unknown', method: request.method, path: pathOf(request.url) })
  })
  app.setErrorHandler(sendError)

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Holdfast', version, description: 'Administration: keys, teams, requests, usage, status.' },
      components: { securitySchemes: { admin: { type: 'http', scheme: 'bearer', description: 'The admin key.' } } },
      security: [{ admin: [] }],
    },
    transform: jsonSchemaTransform,
  })
  return app

  function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const fault = toFault(error)
    if (fault.kind === 'internal')
      log.error({ err: error, requestId: request.id, path: pathOf(request.url) }, 'a request failed')
    const { status, body, retryAfterSeconds } = toHttp(fault)
    if (retryAfterSeconds !== null) reply.header('retry-after', String(retryAfterSeconds))
    return reply
      .code(status)
      .header('content-type', 'application/json; charset=utf-8')
      .serializer(JSON.stringify)
      .send(body)
  }
}

/** Whoever sends it may send anything. */
const idOf = ({ id }: FastifyRequest): string => id.slice(0, 128)

/** JSON.parse takes any depth; what checks, prints and stores the value does not. */
const mostLevels = 100

function tooDeep(body: unknown): FaultError | null {
  let level = [body]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > mostLevels) {
      return new FaultError({
        kind: 'request-invalid',
        param: null,
        problem: `The request body is nested deeper than ${mostLevels} levels.`,
      })
    }
    level = level.flatMap(value => (typeof value === 'object' && value !== null ? Object.values(value) : []))
  }
  return null
}

/** The query string stays out of errors and logs: it may hold a key (`/key/info?key=`). */
const pathOf = (url: string): string => url.split('?', 1)[0] ?? url

function toFault(error: unknown): Fault {
  if (error instanceof FaultError) return error.fault
  if (hasZodFastifySchemaValidationErrors(error)) {
    const told = error.validation.map(({ instancePath, message, params, keyword }) => {
      const unknown =
        keyword === 'unrecognized_keys' && Array.isArray(params['keys']) ? String(params['keys'][0]) : null
      const param = [
        ...instancePath.split('/').filter(part => part !== ''),
        ...(unknown === null ? [] : [unknown]),
      ].join('.')
      return { param, text: param === '' ? (message ?? 'invalid') : `${param}: ${message ?? 'invalid'}` }
    })
    const [first] = told
    return {
      kind: 'request-invalid',
      param: first === undefined || first.param === '' ? null : first.param,
      problem: told.map(each => each.text).join('; '),
    }
  }
  switch (codeOf(error)) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return { kind: 'body-too-large', limit: bytes(bodyLimit) }
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return {
        kind: 'request-invalid',
        param: null,
        problem: "Send JSON, with the header 'content-type: application/json'.",
      }
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return { kind: 'body-not-json', detail: placeOf(error) }
    case 'FST_ERR_BAD_URL':
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return { kind: 'request-invalid', param: null, problem: 'The path is not valid.' }
  }
  if (error instanceof SyntaxError && 'statusCode' in error && error.statusCode === 400)
    return { kind: 'body-not-json', detail: placeOf(error) }
  return { kind: 'internal' }
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : null)

/** V8 quotes the text around the mistake, which may be a key: only the place is told. */
function placeOf(error: unknown): string {
  const message = error instanceof Error ? error.message : ''
  const place = /position \d+|Unexpected end|line \d+ column \d+|forbidden prototype property/.exec(message)
  return place === null ? 'it could not be parsed.' : `the mistake: ${place[0]}.`
}
