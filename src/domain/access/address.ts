/** IP addresses and networks (CIDR), read in every spelling that sockets and people use. */

/** IPv4 in 32 bits, IPv6 in 128. An IPv4 address written as IPv6 (`::ffff:10.0.0.1`) is that IPv4 address. */
type Address = { family: 4 | 6; value: bigint }

/** The addresses that share their first `prefix` bits with `value`. */
export type Network = Address & { prefix: number }

const width = { 4: 32, 6: 128 } as const
const mappedBits = 96
const mapped = 0xffffn

/** `10.0.0.5`, `10.0.0.0/8`, `fd00::/8`, `::ffff:10.0.0.0/104`; `null` for anything else. An address is a network of one. */
export function parseNetwork(text: string): Network | null {
  const slash = text.indexOf('/')
  const written = readAddress(slash === -1 ? text : text.slice(0, slash))
  if (written === null) return null
  const prefix = slash === -1 ? width[written.family] : readPrefix(text.slice(slash + 1), width[written.family])
  if (prefix === null) return null
  if (isMapped(written) && prefix >= mappedBits) return { ...toPlain(written), prefix: prefix - mappedBits }
  return { ...written, prefix }
}

/** Whether an address as a socket spells it is in one of the networks. What is no address is in none. */
export function isWithin(address: string, networks: readonly Network[]): boolean {
  const zone = address.indexOf('%')
  const written = readAddress(zone === -1 ? address : address.slice(0, zone))
  if (written === null) return false
  const { family, value } = toPlain(written)
  return networks.some(network => {
    const rest = BigInt(width[family] - network.prefix)
    return network.family === family && value >> rest === network.value >> rest
  })
}

/**
 * Whom an address is counted as: an IPv4 address is somebody; of IPv6 a /64 is, since one client has at least that many.
 * What is no address is counted as it is.
 */
export function toSubscriber(address: string): string {
  const zone = address.indexOf('%')
  const written = readAddress(zone === -1 ? address : address.slice(0, zone))
  if (written === null) return address
  const { family, value } = toPlain(written)
  if (family === 4) return [24n, 16n, 8n, 0n].map(by => (value >> by) & 0xffn).join('.')
  return `${[112n, 96n, 80n, 64n].map(by => ((value >> by) & 0xffffn).toString(16)).join(':')}::/64`
}

const isMapped = ({ family, value }: Address): boolean => family === 6 && value >> 32n === mapped
const toPlain = (address: Address): Address =>
  isMapped(address) ? { family: 4, value: address.value & 0xffff_ffffn } : address

function readPrefix(text: string, most: number): number | null {
  if (!/^(?:0|[1-9]\d{0,2})$/.test(text)) return null
  return Number(text) <= most ? Number(text) : null
}

function readAddress(text: string): Address | null {
  const value = text.includes(':') ? readSix(text) : readFour(text)
  return value === null ? null : { family: text.includes(':') ? 6 : 4, value }
}

/** Leading zeros are refused: some programs read them as octal. */
function readFour(text: string): bigint | null {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every(part => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return null
  return parts.reduce((value, part) => (value << 8n) | BigInt(part), 0n)
}

function readSix(text: string): bigint | null {
  const halves = text.split('::')
  if (halves.length > 2) return null
  const [head, tail] = [readGroups(halves[0] ?? '', halves.length === 1), readGroups(halves[1] ?? '', true)]
  if (head === null || tail === null) return null
  const missing = 8 - head.length - tail.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null
  const groups = [...head, ...Array<number>(missing).fill(0), ...tail]
  return groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n)
}

/** Groups of 16 bits; the last one of an address may be an IPv4 address and stands for two. */
function readGroups(text: string, isLast: boolean): number[] | null {
  if (text === '') return []
  const parts = text.split(':')
  const dotted = isLast && parts.at(-1)?.includes('.') === true ? parts.pop() : undefined
  if (!parts.every(part => /^[0-9a-fA-F]{1,4}$/.test(part))) return null
  const groups = parts.map(part => Number.parseInt(part, 16))
  if (dotted === undefined) return groups
  const four = readFour(dotted)
  return four === null ? null : [...groups, Number(four >> 16n), Number(four & 0xffffn)]
}
