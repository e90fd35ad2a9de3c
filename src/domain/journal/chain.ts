/** The chain: how blocks seal the lines of an epoch, and how an erased line reads. Rules J1 to J5 and J20 of SPEC.md. */
import { actId } from '../units.ts'
import type { BlockRecord, ErasedRecord } from './record.ts'

/** SHA-256 under way. Handed in from outside, so that the rules stay pure. */
export interface Digest {
  update(bytes: Uint8Array | string): void
  /** Another that has taken in the same bytes; the two go on apart. */
  copy(): Digest
  /** 64 lower-case hex digits; ends this digest. */
  hex(): string
}
export type NewDigest = () => Digest
/** SHA-256 of one line, newline included: 64 lower-case hex digits. */
export type LineDigest = (line: Uint8Array | string) => string

/** The last block of a chain. */
export type Head = { n: number; hash: string }

/** Where an epoch's chain begins: its own name, so that one epoch can't pass for another. */
export function genesis(epoch: string, newDigest: NewDigest): Head {
  const digest = newDigest()
  digest.update(epoch)
  return { n: 0, hash: digest.hex() }
}

const blockStart = '{"t":"block",'
const lastKey = ',"hash":"'

export const isBlock = (line: string): boolean => line.startsWith(blockStart)

type Unsealed = Omit<BlockRecord, 't' | 'hash'>

/** The block's line up to its hash: what the digest takes in after the sealed lines. */
function renderHead({ v, n, segment, lines, prev, repaired, end }: Unsealed): string {
  const marks = `${repaired ? ',"repaired":true' : ''}${end ? ',"end":true' : ''}`
  return `${blockStart}${v === 2 ? '"v":2,' : ''}"n":${n},"segment":${segment},"lines":${lines},"prev":"${prev}"${marks}`
}

/** Seals what `digest` has taken in: the digest of each line, in hex (`v` 2). `digest` itself stays as it was, so that a failed write can be tried again. */
export function seal(digest: Digest, block: Unsealed): { line: string; hash: string } {
  const head = renderHead(block)
  const whole = digest.copy()
  whole.update(head)
  const hash = whole.hex()
  return { line: `${head}${lastKey}${hash}"}\n`, hash }
}

/** The block a line (without its newline) says, or `null` when it is not exactly a line that `seal` writes. */
export function parseBlock(line: string): BlockRecord | null {
  const found = blockLine.exec(line)?.groups
  if (!found) return null
  const { v, n, segment, lines, prev = '', repaired, end, hash = '' } = found
  return {
    t: 'block',
    ...(v ? { v: 2 } : {}),
    n: Number(n),
    segment: Number(segment),
    lines: Number(lines),
    prev,
    ...(repaired ? { repaired: true } : {}),
    ...(end ? { end: true } : {}),
    hash,
  }
}
// One way to write each number, so that a changed byte can't read the same.
const number = (name: string): string => `"${name}":(?<${name}>0|[1-9]\\d{0,14})`
const hex = (name: string): string => `"${name}":"(?<${name}>[0-9a-f]{64})"`
const mark = (name: string): string => `(?<${name}>,"${name}":true)?`
const blockLine = new RegExp(
  `^\\{"t":"block",(?<v>"v":2,)?${number('n')},${number('segment')},${number('lines')},${hex('prev')}` +
    `${mark('repaired')}${mark('end')},${hex('hash')}\\}$`,
)

/** The line that stands for an erased one, newline included. There is one way to write it. */
export const renderErased = ({ digest, by }: Omit<ErasedRecord, 't'>): string =>
  `${erasedStart}"digest":"${digest}","by":"${by}"}\n`

/** The tombstone a line (without its newline) is, or `null` when it is not exactly one. */
export function parseErased(line: string): ErasedRecord | null {
  if (!line.startsWith(erasedStart)) return null
  const found = erasedLine.exec(line)?.groups
  return found ? { t: 'erased', digest: found['digest'] ?? '', by: actId(found['by'] ?? '') } : null
}
const erasedStart = '{"t":"erased",'
const erasedLine = /^\{"t":"erased","digest":"(?<digest>[0-9a-f]{64})","by":"(?<by>[0-9a-f-]{36})"\}$/
