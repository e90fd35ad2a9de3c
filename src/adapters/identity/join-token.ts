/** The join token: where the controllers are, whom to believe there, and a secret that opens the door once. */
import { createHash } from 'node:crypto'

export type JoinToken = {
  /** Known to the controller by its hash only. */
  secret: string
  /** SHA-256 of the authority's certificate, hex. */
  authority: string
  /** `host:port` of each controller. */
  addresses: string[]
}

export const secretBytes = 16
const prefix = 'hf-join-'
const checkBytes = 4
const authorityBytes = 32

/** One word without spaces, to be pasted into a command line. */
export function renderJoinToken({ secret, authority, addresses }: JoinToken): string {
  const body = Buffer.concat([
    Buffer.from(authority, 'hex'),
    Buffer.from(secret, 'base64url'),
    Buffer.from(addresses.join(' '), 'utf8'),
  ])
  return prefix + Buffer.concat([checkOf(body), body]).toString('base64url')
}

export const looksLikeJoinToken = (text: string): boolean => text.startsWith(prefix)

/** `null`: mistyped, cut short, or no token at all. */
export function parseJoinToken(text: string): JoinToken | null {
  const written = text.trim()
  if (!/^hf-join-[A-Za-z0-9_-]+$/.test(written)) return null
  const bytes = Buffer.from(written.slice(prefix.length), 'base64url')
  const body = bytes.subarray(checkBytes)
  if (body.length <= authorityBytes + secretBytes || !checkOf(body).equals(bytes.subarray(0, checkBytes))) return null
  return {
    authority: body.subarray(0, authorityBytes).toString('hex'),
    secret: body.subarray(authorityBytes, authorityBytes + secretBytes).toString('base64url'),
    addresses: body
      .subarray(authorityBytes + secretBytes)
      .toString('utf8')
      .split(' '),
  }
}

/** What the controller keeps of a secret. */
export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('hex')

const checkOf = (body: Buffer): Buffer => createHash('sha256').update(body).digest().subarray(0, checkBytes)
