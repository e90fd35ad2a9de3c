/** The controller's side of the link: streams of JSON lines to gateways and agents, and what gateways tell in return. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import type { LinkHub, Sink } from './link-hub.ts'

const beatMs = 1000

const Name = z.string().min(1).max(128)
const Dial = z.object({
  gateway: Name,
  epoch: z.string().min(1).nullable().default(null),
  seq: z.coerce.number().int().min(0).default(0),
  snapshot: z.string().min(1).nullable().default(null),
  run: z.string().max(64).nullable().default(null),
})

const Acknowledge = z.object({
  gateway: Name,
  epoch: z.string(),
  seq: z.int().min(0),
  snapshot: z.string().nullable(),
})
const Report = z.object({
  gateway: Name,
  journalBehind: z.int().min(0),
  problems: z.array(z.string().max(1000)).max(100),
})
const Leave = z.object({ gateway: Name, run: z.string().max(64).nullable().default(null) })

/** The id in the certificate of whoever sent a request; `null`: it came over the Unix socket. */
export type PeerOf = (request: IncomingMessage) => string | null

/**
 * `GET /link/v1/gateway`, `POST /link/v1/acknowledge`, `…/report`, `…/leave`, `GET /link/v1/agent`. Who may reach the socket
 * (0600, in a 0700 folder) may use them; from elsewhere, each gateway may for itself. A gateway relays nothing to `/link`.
 */
export const linkRoutes =
  (hub: LinkHub, peerOf: PeerOf = () => null): FastifyPluginAsyncZod =>
  async app => {
    const beating = setInterval(() => hub.beat(), beatMs)
    app.addHook('preClose', async () => {
      clearInterval(beating)
      hub.close()
    })

    app.get('/link/v1/gateway', { schema: { hide: true, querystring: Dial } }, (request, reply) => {
      const { gateway, ...held } = request.query
      const peer = peerOf(request.raw)
      requireOwn(peer, gateway)
      const origin = { joined: peer !== null, from: peer === null ? null : (request.socket.remoteAddress ?? null) }
      reply.hijack()
      const leave = hub.addGateway(gateway, { held, origin }, toSink(reply.raw))
      reply.raw.once('close', leave)
    })

    app.get('/link/v1/agent', { schema: { hide: true } }, (request, reply) => {
      if (peerOf(request.raw) !== null) throw new FaultError({ kind: 'gateway-refused', why: 'not-for-gateways' })
      reply.hijack()
      const leave = hub.addAgent(toSink(reply.raw))
      reply.raw.once('close', leave)
    })

    app.post('/link/v1/acknowledge', { schema: { hide: true, body: Acknowledge } }, async (request, reply) => {
      requireOwn(peerOf(request.raw), request.body.gateway)
      hub.acknowledge(request.body)
      return reply.code(204).send()
    })

    app.post('/link/v1/report', { schema: { hide: true, body: Report } }, async (request, reply) => {
      const { gateway, ...report } = request.body
      requireOwn(peerOf(request.raw), gateway)
      hub.report(gateway, report)
      return reply.code(204).send()
    })

    app.post('/link/v1/leave', { schema: { hide: true, body: Leave } }, async (request, reply) => {
      const { gateway, run } = request.body
      requireOwn(peerOf(request.raw), gateway)
      hub.leave(gateway, run)
      return reply.code(204).send()
    })
  }

/** A certificate speaks for the gateway it was given to, and for no other. */
function requireOwn(peer: string | null, gateway: string): void {
  if (peer !== null && peer !== gateway) throw new FaultError({ kind: 'gateway-refused', why: 'another' })
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
