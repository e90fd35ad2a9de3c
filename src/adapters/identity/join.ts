/** First contact: a gateway without a certificate knows its controller by the authority's fingerprint in its token. */
import { X509Certificate } from 'node:crypto'
import { request } from 'node:https'
import { connect, type DetailedPeerCertificate } from 'node:tls'
import { z } from 'zod'
import { controllerName, fingerprintOf } from './authority.ts'
import type { GatewayIdentity, Joined } from './gateway-identity.ts'
import { hashSecret, type JoinToken } from './join-token.ts'

/** Nobody who can answer is at this address now; another one may be tried. */
export class NotThere extends Error {}

const answerMs = 10_000
const Welcome = z.object({ id: z.string(), certificate: z.string() })
const Refusal = z.object({ error: z.object({ message: z.string(), code: z.string().nullable() }) })

export const joinOccasion = (secret: string): string => `holdfast join ${secret}`

/**
 * Asks at one address. The token is sent only once whoever is there has shown the authority that the token names.
 * Throws NotThere, or an Error with what to do.
 */
export async function joinAt(
  address: string,
  { token, identity }: { token: JoinToken; identity: GatewayIdentity },
): Promise<Joined> {
  const { host, port } = splitAddress(address)
  const authority = await authorityAt({ address, host, port, wanted: token.authority })
  const { status, text } = await post({
    host,
    port,
    ca: authority,
    body: JSON.stringify({
      secret: token.secret,
      publicKey: identity.publicKey,
      proof: identity.prove(joinOccasion(token.secret)),
    }),
  }).catch((error: unknown) => {
    throw new NotThere(`${address}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  })
  if (status === 200) {
    const { id, certificate } = Welcome.parse(JSON.parse(text))
    return { id, certificate, authority, controllers: token.addresses, joinedWith: hashSecret(token.secret) }
  }
  const refusal = Refusal.safeParse(tryJson(text))
  const message = refusal.success ? refusal.data.error.message : `it answered ${status}, but not as Holdfast does`
  if (status >= 500) throw new NotThere(`${address}: ${message}`)
  throw new Error(message)
}

/** `10.0.0.2:8443`, `[fd00::2]:8443`, `gpu1.example:8443`. Throws an Error for anything else. */
export function splitAddress(address: string): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(address) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535)
    throw new Error(`'${address}' is no address of a controller: write host:port, such as 10.8.0.1:8443`)
  return { host, port: Number(port) }
}

/** The authority's certificate (PEM) from the handshake, held against the fingerprint. Nothing is sent. */
function authorityAt(at: { address: string; host: string; port: number; wanted: string }): Promise<string> {
  const { address, host, port, wanted } = at
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  // Believing nobody yet is the point: the chain is read here, and held against the token.
  const socket = connect({ host, port, servername: controllerName, rejectUnauthorized: false, timeout: answerMs })
  const fail = (error: Error): void => {
    socket.destroy()
    reject(error)
  }
  socket.once('secureConnect', () => {
    const last = lastOfChain(socket.getPeerCertificate(true))
    if (last === null || fingerprintOf(last) !== wanted) {
      const problem = `${address} is not the service that this token is for (its authority is another one). Ask for a token of this service, or check the address.`
      return fail(new Error(problem))
    }
    socket.destroy()
    resolve(new X509Certificate(last).toString())
  })
  socket.once('timeout', () => fail(new NotThere(`${address}: no answer within ${answerMs / 1000} s`)))
  socket.once('error', error => fail(new NotThere(`${address}: ${error.message}`, { cause: error })))
  return promise
}

function lastOfChain(certificate: DetailedPeerCertificate): Buffer | null {
  let at = certificate
  // A root is its own issuer; where there is no issuer, the chain was not sent whole.
  while (at.issuerCertificate !== undefined && at.issuerCertificate !== at) {
    if (at.issuerCertificate.fingerprint256 === at.fingerprint256) break
    at = at.issuerCertificate
  }
  return at.raw ?? null
}

function post(ask: {
  host: string
  port: number
  ca: string
  body: string
}): Promise<{ status: number; text: string }> {
  const { host, port, ca, body } = ask
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
  const call = request(
    {
      host,
      port,
      ca,
      servername: controllerName,
      method: 'POST',
      path: '/link/v1/join',
      agent: false,
      timeout: answerMs,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    },
    answer => {
      let text = ''
      answer.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, text }))
      answer.once('error', reject)
    },
  )
  call.once('timeout', () => call.destroy(new Error(`no answer within ${answerMs / 1000} s`)))
  call.once('error', reject)
  call.end(body)
  return promise
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
