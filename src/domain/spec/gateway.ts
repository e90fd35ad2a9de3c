/** The spec's `gateway` section. */
import { z } from 'zod'
import { count, issuer, network, text, web, wordOrSecret } from './fields.ts'
import { size, timeout, timeoutOrOff, duration } from './measures.ts'

const listen = z.strictObject({
  host: text('Address to bind; 0.0.0.0 for every interface.').default('127.0.0.1'),
  port: z
    .int()
    .min(0)
    .max(65_535)
    .meta({ title: 'port', description: 'Port to bind; 0 takes any free one.' })
    .default(8080),
})

const limits = z.strictObject({
  // A body is read as one string of JSON, and V8's strings end at 512 MiB.
  body: size(
    'Largest request body. Of whatever length, JSON may hold 500,000 values and 500 levels, a form 100 fields.',
    { atMost: 256 * 1024 ** 2 },
  ).prefault('20MiB'),
  inFlight: count('Requests served at once; the next one is refused with 503.').default(2000),
  firstByte: timeout('For streams: longest wait for the first byte of the engine’s answer.').prefault('120s'),
  idle: timeout('Longest pause between two pieces of an answer.').prefault('60s'),
  request: timeout('Longest time for a whole request.').prefault('15m'),
})

const jwt = z.strictObject({
  issuer: issuer(
    'Whose tokens (JWTs) are believed, exactly as they name it; its keys are found at <issuer>/.well-known/openid-configuration and kept while it is away.',
  ),
  audience: text('What the token must be meant for (its `aud`).'),
  teamClaim: text(
    'The claim that names the team, one name or a list; exactly one team known here must be in it.',
  ).default('groups'),
})

const health = z.strictObject({
  stall: timeout(
    'An engine that is busy for this long, and for what its longest waiting prompt may take, without taking in or making a token is given nothing more, whatever its health route says.',
  ).prefault('30s'),
  canary: timeoutOrOff(
    'A replica that had nothing to do for this long is asked for one token, to know that it could; `off`: never.',
  ).prefault('60s'),
})

export const gateway = z.strictObject({
  listen: listen
    .prefault({})
    .describe('Where it listens. A command-line flag, then the environment, come before this.'),
  publicUrl: web('The address that clients use, when it is not the one it listens on.').optional(),
  tls: z
    .strictObject({
      cert: text('Path of the certificate chain (PEM).'),
      key: text('Path of the private key (PEM).'),
      clientCa: text('Path of the authority (PEM) that client certificates must come from.').optional(),
    })
    .describe('TLS in the gateway itself; a web server in front usually does this.')
    .optional(),
  trustedProxies: z.array(network('Address or network.')).default([]).describe('Whose X-Forwarded-For is believed.'),
  limits: limits.prefault({}).describe('Bounds for each gateway.'),
  health: health
    .prefault({})
    .describe('How engines prove that they work. Asking whether they are there costs them nothing.'),
  perAddress: z
    .strictObject({
      requestsPerMinute: count('Requests a minute from one address.').optional(),
      connections: count('Connections at once from one address.').optional(),
    })
    .describe('Bounds for each client address.')
    .optional(),
  jwt: z.array(jwt).default([]).describe('Identity providers whose tokens are accepted beside keys.'),
  sharedLimits: wordOrSecret('local', 'Where limits are counted: in the one gateway, or in Redis or Valkey.').default(
    'local',
  ),
  maxStale: duration(
    'How long a gateway serves from its last snapshot when it is cut off from the controller.',
  ).prefault('24h'),
})
