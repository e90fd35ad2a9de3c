/** An OpenID Connect provider on loopback: discovery, keys that rotate, tokens signed with them, and bad manners on request. */
import { generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, SignJWT, type JWK } from 'jose'

export type ProviderKey = { kid: string; alg: string; privateKey: KeyObject; jwk: JWK }

type Answer = (request: IncomingMessage, response: ServerResponse) => void

export async function startIdentityProvider() {
  const asked = { discovery: 0, keys: 0 }
  let published: JWK[] = []
  let cacheControl: string | null = null
  let discovery: Answer | null = null
  let keys: Answer | null = null

  const server = createServer((request, response) => {
    const isDiscovery = request.url === '/realm/.well-known/openid-configuration'
    if (!isDiscovery && request.url !== '/realm/keys') return void response.writeHead(404).end()
    asked[isDiscovery ? 'discovery' : 'keys']++
    const own = isDiscovery ? discovery : keys
    if (own !== null) return own(request, response)
    const document = isDiscovery ? { issuer, jwks_uri: `${issuer}/keys` } : { keys: published }
    const headers = {
      'content-type': 'application/json',
      ...(cacheControl === null ? {} : { 'cache-control': cacheControl }),
    }
    response.writeHead(200, headers).end(JSON.stringify(document))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  // A listening TCP server's address has a port.
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}/realm`

  const provider = {
    issuer,
    /** How often each document was asked for. */
    asked,
    publish(...jwks: (ProviderKey | JWK)[]): void {
      published = jwks.map(one => ('privateKey' in one ? one.jwk : one))
    },
    cache(header: string | null): void {
      cacheControl = header
    },
    /** Answers in the place of a document; `null`: as a provider should. */
    behave({
      discovery: first = discovery,
      keys: second = keys,
    }: {
      discovery?: Answer | null
      keys?: Answer | null
    }): void {
      discovery = first
      keys = second
    },
    /** A token for `holdfast`, of a minute, unless told otherwise. `undefined` leaves a claim out. */
    sign: (key: ProviderKey, claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) =>
      new SignJWT({
        iss: issuer,
        aud: 'holdfast',
        sub: 'ada',
        exp: Math.trunc(Date.now() / 1000) + 60,
        groups: ['search'],
        ...claims,
      })
        .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header })
        .sign(key.privateKey),
    close: () =>
      new Promise<void>(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return provider
}

/** A new key pair, with its public half as a provider publishes it. */
export async function providerKey(alg = 'ES256'): Promise<ProviderKey> {
  const { privateKey, publicKey } = generate(alg)
  const kid = randomUUID()
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

const curves: Record<string, string> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }

function generate(alg: string): { privateKey: KeyObject; publicKey: KeyObject } {
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519')
  const namedCurve = curves[alg]
  return namedCurve === undefined
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve })
}
