/** The service's own certificate authority: made on first use, its key never leaves this folder. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeDurably } from './write-durably.ts'

/** What a controller calls itself, whatever its address: who believes the authority needs no other name. */
export const controllerName = 'controller.holdfast'

export type ServerCredentials = { cert: string; key: string; endsAt: number }
export type Issued = { certificate: string; endsAt: number }
export type Authority = {
  /** PEM. */
  certificate: string
  /** SHA-256 of the certificate, hex. */
  fingerprint: string
  /** For the controller's listener: a new key each time, and the chain up to the authority. */
  issueController(): ServerCredentials
  /** For a gateway with this public key (PEM). */
  issueGateway(gateway: { id: string; publicKey: string }): Issued
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const authorityMs = 20 * 365 * dayMs
/** Clocks of two machines differ. */
const earlierMs = hourMs
const authoritySubject = 'Holdfast authority'

/** Throws an Error that says what to do when the file is there and is no authority. */
export async function openAuthority({
  folder,
  now,
  lifeMs = 90 * dayMs,
}: {
  folder: string
  now: () => number
  /** Of what it issues. */
  lifeMs?: number
}): Promise<Authority> {
  // Only where certificates are made: gateways, which read this folder's front door too, do without.
  const { makeCertificate } = await import('./certificate.ts')
  const file = join(folder, 'authority.pem')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (!existsSync(file)) writeDurably(file, makeAuthority())
  const text = readFileSync(file, 'utf8')
  const { key, certificate } = readAuthority(text, file)
  const issuer = { subject: authoritySubject, key }
  const period = () => ({ notBefore: now() - earlierMs, notAfter: now() + lifeMs })

  return {
    certificate: certificate.toString(),
    fingerprint: fingerprintOf(certificate.raw),
    issueController() {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const { notBefore, notAfter } = period()
      const leaf = makeCertificate({ use: 'server', subject: controllerName, publicKey, issuer, notBefore, notAfter })
      return {
        cert: `${leaf}${certificate.toString()}`,
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
        endsAt: notAfter,
      }
    },
    issueGateway({ id, publicKey }) {
      const { notBefore, notAfter } = period()
      const key = createPublicKey(publicKey)
      const made = makeCertificate({ use: 'client', subject: id, publicKey: key, issuer, notBefore, notAfter })
      return { certificate: made, endsAt: notAfter }
    },
  }

  /** Key and certificate in one file: there is never one without the other. */
  function makeAuthority(): string {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const made = makeCertificate({
      use: 'authority',
      subject: authoritySubject,
      publicKey,
      issuer: { subject: authoritySubject, key: privateKey },
      notBefore: now() - earlierMs,
      notAfter: now() + authorityMs,
    })
    return `${privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()}${made}`
  }
}

/** Of a certificate, DER or PEM. */
export const fingerprintOf = (certificate: Uint8Array | string): string =>
  createHash('sha256').update(new X509Certificate(certificate).raw).digest('hex')

function readAuthority(text: string, file: string) {
  try {
    const certificate = new X509Certificate(text.slice(text.indexOf('-----BEGIN CERTIFICATE-----')))
    const key = createPrivateKey(text)
    if (!certificate.checkPrivateKey(key)) throw new Error('its key and its certificate do not belong together')
    return { key, certificate }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(
      `${file} is not the authority that gateways joined (${why}). Restore it from a backup; without it, remove it: a new one is made, and every gateway must join anew.`,
      { cause: error },
    )
  }
}
