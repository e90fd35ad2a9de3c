/** The controller's side of the link: streams of JSON lines to gateways and agents, over its Unix socket. */
import type { ServerResponse } from 'node:http'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { LinkHub, Sink } from './link-hub.ts'

const beatMs = 1000

const Dial = z.object({
  gateway: z.string().min(1).max(128),
  epoch: z.string().min(1).nullable().default(null),
  seq: z.coerce.number().int().min(0).default(0),
  snapshot: z.string().min(1).nullable().default(null),
})

const Acknowledge = z.object({
  gateway: z.string().min(1).max(128),
  epoch: z.string(),
  seq: z.int().min(0),
  snapshot: z.string().nullable(),
})

/**
 * `GET /link/v1/gateway`, `POST /link/v1/acknowledge`, `GET /link/v1/agent`. Who may reach the socket (0600, in a 0700
 * folder) may use them; the gateway relays nothing to `/link`.
 */
export const linkRoutes =
  (hub: LinkHub): FastifyPluginAsyncZod =>
  async app => {
    const beating = setInterval(() => hub.beat(), beatMs)
    app.addHook('preClose', async () => {
      clearInterval(beating)
      hub.close()
    })

    app.get('/link/v1/gateway', { schema: { hide: true, querystring: Dial } }, (request, reply) => {
      const { gateway, ...held } = request.query
      reply.hijack()
      const leave = hub.addGateway(gateway, held, toSink(reply.raw))
      reply.raw.once('close', leave)
    })

    app.get('/link/v1/agent', { schema: { hide: true } }, (_request, reply) => {
      reply.hijack()
      const leave = hub.addAgent(toSink(reply.raw))
      reply.raw.once('close', leave)
    })

    app.post('/link/v1/acknowledge', { schema: { hide: true, body: Acknowledge } }, async (request, reply) => {
      hub.acknowledge(request.body)
      return reply.code(204).send()
    })
  }

function toSink(response: ServerResponse): Sink {
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' })
  response.flushHeaders()
  // A peer that goes away mid-write is no error here: 'close' follows, and it dials in again.
  response.on('error', () => undefined)
  return {
    write(frame) {
      if (response.destroyed || response.writableEnded) return Promise.resolve()
      if (response.write(`${JSON.stringify(frame)}\n`)) return Promise.resolve()
      return new Promise(resolve => {
        const done = () => {
          response.off('drain', done).off('close', done)
          resolve()
        }
        response.once('drain', done).once('close', done)
      })
    },
    // Destroyed rather than ended: a peer that stopped reading would hold an ended stream open for ever.
    close: () => {
      response.destroy()
    },
  }
}
