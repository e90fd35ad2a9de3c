/**
 * Seals: texts that only the holder of a release's private key can read. Each is sealed under a key of its own (X25519 with a key
 * pair made for it, HKDF-SHA-256, AES-256-GCM) and bound to what it is about, so that none can pass for another.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'

/** Base64: the public key's 32 bytes, the private key as PKCS #8. */
export type SealKeys = { publicKey: string; privateKey: string }

/** 1 byte says how it was made, 32 are the public key of the pair made for it, then the text, and 16 that prove it whole. */
const form = 1
const keyBytes = 32
const tagBytes = 16
const cipher = 'aes-256-gcm'

export function newSealKeys(): SealKeys {
  const { publicKey, privateKey } = generateKeyPairSync('x25519')
  return {
    publicKey: bytesOf(publicKey).toString('base64'),
    privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
  }
}

/** Throws when `publicKey` is none. */
export function sealText(publicKey: string, text: string, about: string): string {
  const theirs = Buffer.from(publicKey, 'base64')
  const once = generateKeyPairSync('x25519')
  const ours = bytesOf(once.publicKey)
  const shared = diffieHellman({ privateKey: once.privateKey, publicKey: toPublicKey(theirs) })
  const { key, nonce } = keyFor(shared, Buffer.concat([ours, theirs]))
  const sealing = createCipheriv(cipher, key, nonce).setAAD(Buffer.from(about))
  return Buffer.concat([
    Buffer.of(form),
    ours,
    sealing.update(text, 'utf8'),
    sealing.final(),
    sealing.getAuthTag(),
  ]).toString('base64')
}

/** `null`: sealed for another key, about something else, or changed since. */
export function openSealed(privateKey: string, sealed: string, about: string): string | null {
  const bytes = Buffer.from(sealed, 'base64')
  if (bytes[0] !== form || bytes.length < 1 + keyBytes + tagBytes) return null
  const ours = createPrivateKey({ key: Buffer.from(privateKey, 'base64'), format: 'der', type: 'pkcs8' })
  const theirs = bytes.subarray(1, 1 + keyBytes)
  try {
    const shared = diffieHellman({ privateKey: ours, publicKey: toPublicKey(theirs) })
    const { key, nonce } = keyFor(shared, Buffer.concat([theirs, bytesOf(createPublicKey(ours))]))
    const opening = createDecipheriv(cipher, key, nonce)
      .setAAD(Buffer.from(about))
      .setAuthTag(bytes.subarray(-tagBytes))
    return Buffer.concat([opening.update(bytes.subarray(1 + keyBytes, -tagBytes)), opening.final()]).toString('utf8')
  } catch {
    return null
  }
}

/** Both public keys go into it, and each key seals once, so that a nonce from the same source is never used twice. */
function keyFor(shared: Buffer, publicKeys: Buffer): { key: Buffer; nonce: Buffer } {
  const derived = Buffer.from(hkdfSync('sha256', shared, publicKeys, 'holdfast shadow pair 1', 32 + 12))
  return { key: derived.subarray(0, 32), nonce: derived.subarray(32) }
}

/** RFC 8410: the 32 bytes end the DER form, behind 12 that are always the same. */
const derPrefix = Buffer.from('302a300506032b656e032100', 'hex')

const toPublicKey = (raw: Buffer): KeyObject =>
  createPublicKey({ key: Buffer.concat([derPrefix, raw]), format: 'der', type: 'spki' })

const bytesOf = (key: KeyObject): Buffer => key.export({ format: 'der', type: 'spki' }).subarray(derPrefix.length)
