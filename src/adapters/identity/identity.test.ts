import { createPublicKey, generateKeyPairSync, sign, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  controllerName,
  hashPublicKey,
  hashSecret,
  isDue,
  isProof,
  openAuthority,
  openGatewayIdentity,
  parseJoinToken,
  renderJoinToken,
  splitAddress,
} from './index.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hf-identity-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const dayMs = 24 * 3_600_000
const start = Date.parse('2026-01-01T00:00:00Z')
const now = () => start
const aKey = () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return publicKey.export({ type: 'spki', format: 'pem' }).toString()
}

describe('the authority', () => {
  test('is made once, and its key is its owner’s alone', async () => {
    const first = await openAuthority({ folder, now })
    const again = await openAuthority({ folder, now })
    expect(again.certificate).toBe(first.certificate)
    expect(again.fingerprint).toBe(
      new X509Certificate(first.certificate).fingerprint256.replaceAll(':', '').toLowerCase(),
    )
    expect(statSync(join(folder, 'authority.pem')).mode & 0o777).toBe(0o600)
  })

  test('signs itself, with ECDSA on P-256, and may sign others', async () => {
    const { certificate } = await openAuthority({ folder, now })
    const root = new X509Certificate(certificate)
    expect(root.ca).toBe(true)
    expect(root.verify(root.publicKey)).toBe(true)
    expect(root.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' })
  })

  test('what it gives to gateways and controllers follows from it, is for one use only, and can sign nobody', async () => {
    const authority = await openAuthority({ folder, now })
    const root = new X509Certificate(authority.certificate)
    const publicKey = aKey()
    const { certificate, endsAt } = authority.issueGateway({ id: 'gateway-1', publicKey })
    const client = new X509Certificate(certificate)
    const server = new X509Certificate(authority.issueController().cert)
    for (const leaf of [client, server]) {
      expect(leaf.checkIssued(root)).toBe(true)
      expect(leaf.verify(root.publicKey)).toBe(true)
      expect(leaf.ca).toBe(false)
    }
    expect(client.subject).toBe('CN=gateway-1')
    expect(client.publicKey.equals(createPublicKey(publicKey))).toBe(true)
    expect([client.keyUsage, server.keyUsage]).toEqual([['1.3.6.1.5.5.7.3.2'], ['1.3.6.1.5.5.7.3.1']])
    expect(server.checkHost(controllerName)).toBe(controllerName)
    expect(client.checkHost(controllerName)).toBeUndefined()
    expect([endsAt, client.validToDate.getTime()]).toEqual([start + 90 * dayMs, start + 90 * dayMs])
    expect(client.serialNumber).not.toBe(
      new X509Certificate(authority.issueGateway({ id: 'x', publicKey }).certificate).serialNumber,
    )
  })

  test('dates beyond 2049, where X.509 writes them in another way, are right too', async () => {
    const later = Date.parse('2049-12-01T00:00:00Z')
    const { issueController } = await openAuthority({ folder, now: () => later })
    expect(new X509Certificate(issueController().cert).validToDate.toISOString()).toBe('2050-03-01T00:00:00.000Z')
  })

  test('a damaged one is told with what to do, and never replaced', async () => {
    await openAuthority({ folder, now })
    const file = join(folder, 'authority.pem')
    const other = await openAuthority({ folder: join(folder, 'other'), now })
    const [key = ''] = readFileSync(file, 'utf8').split('-----BEGIN CERTIFICATE-----')
    for (const text of ['', 'x', `${key}${other.certificate}`]) {
      writeFileSync(file, text)
      await expect(openAuthority({ folder, now })).rejects.toThrow(/Restore it from a backup/)
      expect(readFileSync(file, 'utf8')).toBe(text)
    }
  })
})

describe('a gateway', () => {
  test('keeps its key, and proves that it has it for one occasion only', () => {
    const identity = openGatewayIdentity(folder)
    const again = openGatewayIdentity(folder)
    expect(again.publicKey).toBe(identity.publicKey)
    expect(statSync(join(folder, 'key.pem')).mode & 0o777).toBe(0o600)
    const proof = again.prove('now')
    const { publicKey } = identity
    expect(isProof({ publicKey, proof, occasion: 'now' })).toBe(true)
    expect(isProof({ publicKey, proof, occasion: 'later' })).toBe(false)
    expect(isProof({ publicKey: aKey(), proof, occasion: 'now' })).toBe(false)
  })

  test('a key of another kind, or none, proves nothing', () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const proof = sign('sha256', Buffer.from('now'), privateKey).toString('base64')
    expect(isProof({ publicKey: pem, proof, occasion: 'now' })).toBe(false)
    for (const text of ['', 'x', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----'])
      expect(isProof({ publicKey: text, proof, occasion: 'now' })).toBe(false)
  })

  test('remembers what it joined; a damaged note is told', () => {
    const identity = openGatewayIdentity(folder)
    expect(identity.joined()).toBeNull()
    const joined = { id: 'g', certificate: 'c', authority: 'a', controllers: ['h:1'], joinedWith: hashSecret('s') }
    identity.save(joined)
    expect(openGatewayIdentity(folder).joined()).toEqual(joined)
    writeFileSync(join(folder, 'joined.json'), '{"id":')
    expect(() => identity.joined()).toThrow(/join again/)
  })

  test('renews its certificate once two thirds of its life are over', async () => {
    const authority = await openAuthority({ folder, now })
    const { certificate } = authority.issueGateway({ id: 'g', publicKey: openGatewayIdentity(folder).publicKey })
    expect(isDue(certificate, start + 59 * dayMs)).toBe(false)
    expect(isDue(certificate, start + 61 * dayMs)).toBe(true)
  })

  test('the same key is the same gateway, however it is written', () => {
    const publicKey = aKey()
    expect(hashPublicKey(`\n${publicKey}\n`)).toBe(hashPublicKey(publicKey))
    expect(hashPublicKey(aKey())).not.toBe(hashPublicKey(publicKey))
  })
})

describe('a join token', () => {
  const hex = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(bytes => Buffer.from(bytes).toString('hex'))
  const secret = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytes => Buffer.from(bytes).toString('base64url'))
  const address = fc.tuple(fc.domain(), fc.integer({ min: 1, max: 65_535 })).map(([host, port]) => `${host}:${port}`)
  const tokens = fc.record({ authority: hex, secret, addresses: fc.array(address, { minLength: 1, maxLength: 4 }) })

  test('is read as it was written', () => {
    fc.assert(
      fc.property(tokens, token => {
        expect(parseJoinToken(renderJoinToken(token))).toEqual(token)
      }),
    )
  })

  test('with any letter changed, lost or doubled it is no token', () => {
    fc.assert(
      fc.property(tokens, fc.nat(), fc.constantFrom('A', 'z', '0', '_', '', '-'), (token, place, by) => {
        const text = renderJoinToken(token)
        const at = 'hf-join-'.length + (place % (text.length - 'hf-join-'.length - 1))
        const changed = text.slice(0, at) + by + text.slice(at + 1)
        fc.pre(changed !== text)
        expect(parseJoinToken(changed)).toBeNull()
      }),
    )
  })

  test('what is no token is none', () => {
    for (const text of ['', 'hf-join-', 'hf-join-AAAA', 'sk-hf-x', '10.0.0.1:8443'])
      expect(parseJoinToken(text)).toBeNull()
  })
})

test('addresses are a host and a port', () => {
  expect(splitAddress('gpu1.lab:8443')).toEqual({ host: 'gpu1.lab', port: 8443 })
  expect(splitAddress('[fd00::2]:8443')).toEqual({ host: 'fd00::2', port: 8443 })
  for (const text of [
    '',
    'gpu1',
    'gpu1:',
    ':8443',
    'gpu1:0',
    'gpu1:70000',
    'https://gpu1:8443',
    'a b:1',
    'fd00::2:8443',
  ])
    expect(() => splitAddress(text), text).toThrow(/host:port/)
})
