/** X.509 certificates, made and signed: ECDSA P-256 with SHA-256. Reading and checking them is OpenSSL's work. */
import { randomBytes, sign, type KeyObject } from 'node:crypto'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_kp_clientAuth,
  id_kp_serverAuth,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509'

export type CertificateUse = 'authority' | 'server' | 'client'

export type CertificateAsk = {
  use: CertificateUse
  /** The common name; for a server also the DNS name that it is asked for by. */
  subject: string
  publicKey: KeyObject
  issuer: { subject: string; key: KeyObject }
  notBefore: number
  notAfter: number
}

const ecdsaWithSha256 = new AlgorithmIdentifier({ algorithm: '1.2.840.10045.4.3.2' })
const commonName = '2.5.4.3'

/** As PEM. */
export function makeCertificate(ask: CertificateAsk): string {
  const { subject, publicKey, issuer, notBefore, notAfter } = ask
  const body = new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature: ecdsaWithSha256,
    issuer: toName(issuer.subject),
    validity: new Validity({ notBefore: new Date(notBefore), notAfter: new Date(notAfter) }),
    subject: toName(subject),
    subjectPublicKeyInfo: AsnConvert.parse(publicKey.export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo),
    extensions: new Extensions(extensionsFor(ask)),
  })
  const certificate = new Certificate({
    tbsCertificate: body,
    signatureAlgorithm: ecdsaWithSha256,
    signatureValue: toArrayBuffer(sign('sha256', Buffer.from(AsnConvert.serialize(body)), issuer.key)),
  })
  return toPem(Buffer.from(AsnConvert.serialize(certificate)))
}

function extensionsFor({ use, subject }: CertificateAsk): Extension[] {
  const constraints = extension(id_ce_basicConstraints, new BasicConstraints({ cA: use === 'authority' }))
  if (use === 'authority')
    return [constraints, extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign))]
  return [
    constraints,
    extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature)),
    extension(id_ce_extKeyUsage, new ExtendedKeyUsage([use === 'server' ? id_kp_serverAuth : id_kp_clientAuth])),
    ...(use === 'server'
      ? [extension(id_ce_subjectAltName, new SubjectAlternativeName([new GeneralName({ dNSName: subject })]))]
      : []),
  ]
}

/** Critical but for the name: whoever does not understand it must not believe the certificate. */
const extension = (id: string, value: object): Extension =>
  new Extension({
    extnID: id,
    critical: id !== id_ce_subjectAltName,
    extnValue: new OctetString(AsnConvert.serialize(value)),
  })

const toName = (text: string): Name =>
  new Name([
    new RelativeDistinguishedName([
      new AttributeTypeAndValue({ type: commonName, value: new AttributeValue({ utf8String: text }) }),
    ]),
  ])

/** 127 random bits: positive, and never the same twice. */
function serialNumber(): ArrayBuffer {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return toArrayBuffer(bytes)
}

const toArrayBuffer = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer

const toPem = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${(der.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE-----\n`
