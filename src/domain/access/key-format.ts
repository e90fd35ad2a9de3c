/** The form of Holdfast's own keys: `sk-hf-`, 32 base62 characters, and 6 more that check them. */

const prefix = 'sk-hf-'
const bodyLength = 32
const checksumLength = 6
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const whole = /^sk-hf-([0-9A-Za-z]{32})([0-9A-Za-z]{6})$/

/** `ours`: well formed · `mistyped`: starts like ours and cannot be one of ours · `foreign`: brought from elsewhere. */
export type KeyFormat = 'ours' | 'mistyped' | 'foreign'

/** How many random bytes make a key without ever running short in practice: twice what is needed on average. */
export const keyRandomBytes = 64

/** A new key from random bytes (`keyRandomBytes` of them). Throws RangeError when they do not suffice. */
export function makeKey(randomBytes: Uint8Array): string {
  const body = randomBase62(randomBytes, bodyLength)
  return prefix + body + checksum(body)
}

/** Tells a typing mistake from an unknown key without asking anybody. */
export function checkKeyFormat(text: string): KeyFormat {
  if (!text.startsWith(prefix)) return 'foreign'
  const [, body, check] = whole.exec(text) ?? []
  return body !== undefined && check === checksum(body) ? 'ours' : 'mistyped'
}

/**
 * `length` base62 characters, each as likely as the others: bytes from 248 on would favour the first eight
 * characters, so they are passed over. Throws RangeError when the bytes do not suffice.
 */
export function randomBase62(randomBytes: Uint8Array, length: number): string {
  const fair = 256 - (256 % alphabet.length)
  let text = ''
  for (const byte of randomBytes) {
    if (text.length === length) break
    if (byte < fair) text += alphabet.charAt(byte % alphabet.length)
  }
  if (text.length < length) throw new RangeError(`Not enough random bytes for ${length} characters.`)
  return text
}

/** How a key may be shown after its birth: enough to recognise, too little to use. */
export const maskKey = (key: string): string => `sk-...${key.slice(-4)}`

function checksum(body: string): string {
  let rest = crc32(body)
  let text = ''
  for (let digit = 0; digit < checksumLength; digit++) {
    text = alphabet.charAt(rest % alphabet.length) + text
    rest = Math.floor(rest / alphabet.length)
  }
  return text
}

/** CRC-32 (IEEE 802.3, reflected) of ASCII text. Finds every wrong character and every swap of neighbours. */
function crc32(text: string): number {
  let crc = 0xffff_ffff
  for (let at = 0; at < text.length; at++) {
    crc ^= text.charCodeAt(at)
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1
  }
  return (crc ^ 0xffff_ffff) >>> 0
}
