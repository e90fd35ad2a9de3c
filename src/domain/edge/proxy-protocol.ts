/** The PROXY protocol, versions 1 and 2, as HAProxy's proxy-protocol.txt has it. Rules D4–D6 in SPEC.md. */
import { parseNetwork } from '../access/index.ts'

export type ProxyReading =
  /** It begins with something else. */
  | { kind: 'none' }
  /** It may become one. */
  | { kind: 'more' }
  /** `source`: `null`: the header tells none, and the peer is meant. */
  | { kind: 'header'; bytes: number; source: string | null }
  | { kind: 'bad'; problem: string }

const lineSignature = [...'PROXY '].map(character => character.charCodeAt(0))
const binarySignature = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
/** With the line's end: what version 1 can need. */
const longestLine = 107
/** With more than this of extensions (TLVs) nobody tells an address. */
const longestRest = 4096
const binaryHead = 16

/** Reads the first bytes of a connection. Answers as soon as they can be told apart. */
export function readProxyHeader(bytes: Uint8Array): ProxyReading {
  if (begins(bytes, lineSignature)) return bytes.length < lineSignature.length ? { kind: 'more' } : readLine(bytes)
  if (begins(bytes, binarySignature)) return bytes.length < binaryHead ? { kind: 'more' } : readBinary(bytes)
  return { kind: 'none' }
}

/** As far as there are bytes. */
function begins(bytes: Uint8Array, signature: readonly number[]): boolean {
  const common = Math.min(bytes.length, signature.length)
  for (let i = 0; i < common; i += 1) if (bytes[i] !== signature[i]) return false
  return true
}

function readLine(bytes: Uint8Array): ProxyReading {
  const end = bytes.subarray(0, longestLine).indexOf(0x0a)
  if (end === -1) return bytes.length < longestLine ? { kind: 'more' } : bad('its line does not end')
  const line = String.fromCharCode(...bytes.subarray(0, end + 1))
  if (/^PROXY UNKNOWN(?: [\x20-\x7e]*)?\r\n$/.test(line)) return { kind: 'header', bytes: end + 1, source: null }
  const [, family, source = '', target = '', ...ports] =
    /^PROXY TCP([46]) ([\da-fA-F:.]+) ([\da-fA-F:.]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})\r\n$/.exec(line) ?? []
  if (family === undefined) return bad('its line is not as version 1 has it')
  const isSix = family === '6'
  for (const address of [source, target])
    if (parseNetwork(address) === null || address.includes(':') !== isSix) return bad('an address in it is none')
  if (ports.some(port => Number(port) > 65_535)) return bad('a port in it is none')
  return { kind: 'header', bytes: end + 1, source }
}

function readBinary(bytes: Uint8Array): ProxyReading {
  const [command = 0, family = 0] = bytes.subarray(12)
  const rest = ((bytes[14] ?? 0) << 8) | (bytes[15] ?? 0)
  if (command >> 4 !== 2) return bad('its version is not 2')
  if ((command & 0xf) > 1) return bad('its command is neither LOCAL nor PROXY')
  if (rest > longestRest) return bad(`it is longer than ${longestRest} bytes`)
  const addresses = addressBytes[family]
  const isLocal = (command & 0xf) === 0
  if (!isLocal && addresses !== undefined && rest < addresses) return bad('it is too short for its addresses')
  if (bytes.length < binaryHead + rest) return { kind: 'more' }
  const source = isLocal || addresses === undefined ? null : toAddress(bytes, family)
  return { kind: 'header', bytes: binaryHead + rest, source }
}

/** Two addresses and two ports, for TCP over IPv4 and over IPv6. */
const addressBytes: { readonly [family: number]: number } = { 0x11: 12, 0x21: 36 }

function toAddress(bytes: Uint8Array, family: number): string {
  if (family === 0x11) return bytes.subarray(binaryHead, binaryHead + 4).join('.')
  const groups = Array.from({ length: 8 }, (_, i) => {
    const at = binaryHead + 2 * i
    return (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16)
  })
  return groups.join(':')
}

const bad = (what: string): ProxyReading => ({ kind: 'bad', problem: `the PROXY header can't be read: ${what}` })
