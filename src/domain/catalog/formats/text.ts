/** UTF-8 and JSON from bytes, bounded: the domain has no TextDecoder, and JSON.parse alone may be made to fill the memory. */
import { fetchAgain, FormatError } from './reading.ts'

const piece = 8192

/** What is not UTF-8 becomes U+FFFD. */
export function textOf(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length;) {
    const end = asciiEnd(bytes, at)
    if (end > at) {
      // Nearly all of every header: a hundred times faster than letter by letter.
      text += String.fromCharCode(...bytes.subarray(at, end))
      at = end
      continue
    }
    const { point, length } = pointAt(bytes, at)
    text += String.fromCodePoint(point)
    at += length
  }
  return text
}

/** Where a run of at most a piece of plain letters ends. */
function asciiEnd(bytes: Uint8Array, from: number): number {
  const most = Math.min(bytes.length, from + piece)
  let at = from
  while (at < most && (bytes[at] ?? 0x80) < 0x80) at++
  return at
}

function pointAt(bytes: Uint8Array, at: number): { point: number; length: number } {
  const first = bytes[at] ?? 0
  if (first < 0x80) return { point: first, length: 1 }
  const length = lengthOf(first)
  let point = first & (0xff >> (length + 1))
  for (let i = 1; i < length; i++) {
    const next = bytes[at + i] ?? 0
    if ((next & 0xc0) !== 0x80) return { point: 0xfffd, length: i }
    point = (point << 6) | (next & 0x3f)
  }
  const least = [0, 0, 0x80, 0x800, 0x10000][length] ?? 0
  const good = length > 1 && point >= least && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff)
  return { point: good ? point : 0xfffd, length }
}

function lengthOf(first: number): number {
  if (first >= 0xf0) return first < 0xf8 ? 4 : 1
  if (first >= 0xe0) return 3
  return first >= 0xc0 ? 2 : 1
}

export type JsonBounds = { depth: number; values: number }

/** Counted before it is parsed: a few megabytes of brackets would become gigabytes of lists. */
export function parseJson(bytes: Uint8Array, { depth: deepest, values: mostValues }: JsonBounds): unknown {
  let depth = 0
  let values = 0
  let quoted = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (quoted) {
      if (byte === 0x5c) at++
      else if (byte === 0x22) quoted = false
    } else if (byte === 0x22) quoted = true
    else if (byte === 0x7b || byte === 0x5b) {
      depth++
      values++
      if (depth > deepest) throw new FormatError(at, `JSON nested deeper than ${deepest} levels`, fetchAgain)
    } else if (byte === 0x7d || byte === 0x5d) depth--
    else if (byte === 0x2c) values++
    if (values > mostValues) throw new FormatError(at, `JSON of more than ${mostValues} values`, fetchAgain)
  }
  try {
    return JSON.parse(textOf(bytes)) as unknown
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 120) : 'unreadable'
    throw new FormatError(null, `no JSON (${why})`, fetchAgain)
  }
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A whole number that can be a count; `null`: it is none. */
export const countIn = (value: unknown): number | null =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null

export const textIn = (value: unknown): string | null => (typeof value === 'string' ? value : null)
