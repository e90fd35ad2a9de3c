/** Protocol buffers: the fields of a message, one after the other, without a schema. protobuf.dev/programming-guides/encoding. */
import { openCursor, type Cursor } from './cursor.ts'
import { fetchAgain, FormatError, readWhole, type Reading } from './reading.ts'
import { textOf } from './text.ts'

/** `value`: of a number. `bytes`: of what has a length; the cursor stands where it begins. */
export type Field = { number: number; value: number; at: number; bytes: number }

export type Fields = {
  /** Calls `each` for every field before `end`; where the cursor is left does not matter. */
  each(end: number, each: (field: Field) => Reading<void>): Reading<void>
  text(field: Field): Reading<string>
  /** Numbers one behind the other, or a single one. */
  numbers(field: Field): Reading<number[]>
}

const mostFields = 5_000_000
const mostTextBytes = 64 * 1024
const mostNumbers = 64
const deepest = 16

export function openFields(cursor: Cursor): Fields {
  let seen = 0
  let depth = 0

  function* each(end: number, visit: (field: Field) => Reading<void>): Reading<void> {
    if (end > cursor.size)
      throw new FormatError(
        cursor.at,
        `a message that ends at byte ${end}, and the file ends at ${cursor.size}`,
        'It is not whole: fetch it again.',
      )
    if (++depth > deepest) throw new FormatError(cursor.at, `messages nested deeper than ${deepest} levels`, fetchAgain)
    while (cursor.at < end) {
      if (++seen > mostFields) throw new FormatError(cursor.at, `more than ${mostFields} fields`, fetchAgain)
      const field = yield* nextField(end)
      yield* visit(field)
      cursor.seek(field.at + field.bytes)
    }
    depth--
  }

  function* nextField(end: number): Reading<Field> {
    const start = cursor.at
    const tag = yield* varint(cursor)
    const number = Math.floor(tag / 8)
    const wire = tag % 8
    if (number === 0 || number > 2 ** 29) throw new FormatError(start, `field ${number} can't exist`, fetchAgain)
    const value = wire === 0 || wire === 2 ? yield* varint(cursor) : 0
    const at = cursor.at
    const bytes = bytesOf(wire, value)
    if (bytes === null) throw new FormatError(start, `a field of wire type ${wire}`, fetchAgain)
    if (at + bytes > end) throw new FormatError(start, `a field of ${bytes} bytes goes beyond its message`, fetchAgain)
    return { number, value: wire === 0 ? value : 0, at, bytes }
  }

  return {
    each,
    *text({ bytes }) {
      return textOf(yield* cursor.take(Math.min(bytes, mostTextBytes)))
    },
    *numbers({ value, at, bytes }) {
      if (bytes === 0) return [value]
      const numbers: number[] = []
      while (cursor.at < at + bytes && numbers.length < mostNumbers) numbers.push(yield* varint(cursor))
      return numbers
    },
  }
}

/** The fields of a message that is at hand. */
export function visitMessage(bytes: Uint8Array, visit: (field: Field, fields: Fields) => Reading<void>): void {
  const cursor = openCursor({ size: bytes.length, mostBytes: Infinity })
  const fields = openFields(cursor)
  readWhole(
    fields.each(bytes.length, field => visit(field, fields)),
    bytes,
  )
}

function bytesOf(wire: number, length: number): number | null {
  if (wire === 0) return 0
  if (wire === 1) return 8
  if (wire === 2) return length
  return wire === 5 ? 4 : null
}

/** Negative numbers take ten bytes and come out as huge ones: nothing that is read here is negative. */
function* varint(cursor: Cursor): Reading<number> {
  let value = 0
  for (let i = 0, weight = 1; i < 10; i++, weight *= 128) {
    const byte = yield* cursor.u8()
    value += (byte & 0x7f) * weight
    if (byte < 0x80) return value
  }
  throw new FormatError(cursor.at, 'a number of more than ten bytes', fetchAgain)
}
