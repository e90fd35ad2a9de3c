/**
 * A look at a request's body, byte by byte and without making anything of it: that it is a JSON object, where its fields
 * are, and about how many tokens its prompt has. All that it says is what a parse would have found; whatever is unusual in
 * any way it leaves to one. docs/design/0013-data-plane.md has what it saves.
 */
import { isUtf8 } from 'node:buffer'
import { charactersPerToken, tokensOfTurn } from '../../domain/serving/index.ts'

/** `"name":` stands before `from`, the value in `[from, to)`. */
export type FieldPlace = {
  name: string
  from: number
  to: number
  /** A text of ASCII without escapes: what stands between its quotes. */
  isPlain: boolean
}

export type ScannedBody = {
  bytes: Buffer
  /** The same bytes as Latin-1, whatever they mean. */
  latin1: string
  isAscii: boolean
  /** No two have the same name, and names are ASCII without escapes. */
  fields: readonly FieldPlace[]
  /** As `measureJson` counts them. */
  values: number
  /** As `promptTokens` counts them. */
  promptTokens: number
  /** Objects with a role that is a text, and a content, if any, that is a text, parts or `null`; `null`: there are no such messages. */
  messages: { first: number; hasSystem: boolean; hasDeveloper: boolean } | null
}

/** As deep as `promptTokens` looks. */
const mostLevels = 14
const mostFields = 64
const mostValues = 100_000
/** More of them are another number once they were parsed. */
const mostDigits = 15

/** `null`: it has to be parsed, to be understood or to be refused. */
export function scanBody(body: Uint8Array): ScannedBody | null {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return isUtf8(bytes) ? new Scan(bytes).body() : null
}

const [quote, comma, colon, backslash, minus, dot, zero] = [0x22, 0x2c, 0x3a, 0x5c, 0x2d, 0x2e, 0x30]
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d]
const end = 0

/** A class: these are read and written for each value, which is slower in a closure. */
class Scan {
  readonly #bytes: Buffer
  readonly #view: DataView
  readonly #text: string
  #at = 0
  #values = 1
  /** Of the string read last: its characters, and whether any was written as an escape. */
  #characters = 0
  #isEscaped = false
  /** So far. */
  #isAscii = true
  /** Inside of a field whose tokens count. */
  #counts = false
  #tokens = 0
  #hasSystem = false
  #hasDeveloper = false

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#text = bytes.toString('latin1')
  }

  body(): ScannedBody | null {
    if (this.#next() !== openBrace) return null
    const fields: FieldPlace[] = []
    let first: number | null = null
    do {
      this.#begin()
      const name = this.#name()
      if (name === null || fields.length === mostFields || isNamed(fields, name)) return null
      this.#counts = prompts.has(name)
      const begins = this.#next()
      const from = this.#at
      if (name === 'messages' && begins === openBracket) {
        if (!this.#messages()) return null
        first = from + 1
      } else if (!this.#value(2)) return null
      const isPlain = begins === quote && !this.#isEscaped && this.#characters === this.#at - from - 2
      fields.push({ name, from, to: this.#at, isPlain })
    } while (this.#next() === comma)
    if (this.#next() !== closeBrace) return null
    this.#at++
    if (this.#next() !== end || this.#at < this.#bytes.length || this.#values > mostValues) return null
    return {
      bytes: this.#bytes,
      latin1: this.#text,
      isAscii: this.#isAscii,
      fields,
      values: this.#values,
      promptTokens: Math.ceil(this.#tokens),
      messages: first === null ? null : { first, hasSystem: this.#hasSystem, hasDeveloper: this.#hasDeveloper },
    }
  }

  /** At least one. */
  #messages(): boolean {
    do {
      this.#begin()
      if (this.#next() !== openBrace || !this.#object(3, true)) return false
    } while (this.#next() === comma)
    if (this.#next() !== closeBracket) return false
    this.#at++
    return true
  }

  /** Past an opening bracket or a comma: a value more. */
  #begin(): void {
    this.#at++
    this.#values++
  }

  /** The byte that is neither a space nor a line's end, and does not take it; `end`: there is none. */
  #next(): number {
    const bytes = this.#bytes
    let byte = bytes[this.#at]
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++this.#at]
    return byte ?? end
  }

  #value(level: number): boolean {
    switch (this.#next()) {
      case quote:
        if (!this.#string()) return false
        if (this.#counts) this.#tokens += this.#characters / charactersPerToken
        return true
      case openBrace:
        return this.#object(level, false)
      case openBracket:
        return this.#array(level)
      case 0x74:
        return this.#literal('true')
      case 0x66:
        return this.#literal('false')
      case 0x6e:
        return this.#literal('null')
      default:
        if (this.#counts) this.#tokens++
        return this.#number()
    }
  }

  #array(level: number): boolean {
    if (level > mostLevels) return false
    this.#begin()
    if (this.#next() === closeBracket) {
      this.#at++
      return true
    }
    for (;;) {
      if (!this.#value(level + 1)) return false
      if (this.#next() !== comma) break
      this.#begin()
    }
    if (this.#next() !== closeBracket) return false
    this.#at++
    return true
  }

  #object(level: number, isMessage: boolean): boolean {
    if (level > mostLevels) return false
    let [hasRole, hasContent, hasType] = [false, false, false]
    this.#begin()
    if (this.#next() === closeBrace) {
      this.#at++
      return !isMessage
    }
    for (;;) {
      if (this.#next() !== quote) return false
      const start = this.#at + 1
      if (!this.#string() || this.#isEscaped) return false
      const stop = this.#at - 1
      if (this.#next() !== colon) return false
      this.#at++
      const begins = this.#next()
      if (this.#spells(role, start, stop)) {
        if (hasRole || (isMessage && !this.#role(begins))) return false
        hasRole = true
        if (this.#counts) this.#tokens += tokensOfTurn
        if (isMessage) this.#tokens += this.#characters / charactersPerToken
        else if (!this.#value(level + 1)) return false
      } else if (this.#spells(content, start, stop)) {
        const isRight = begins === quote || begins === openBracket || begins === 0x6e
        if (hasContent || (isMessage && !isRight) || !this.#value(level + 1)) return false
        hasContent = true
      } else if (this.#spells(type, start, stop)) {
        const valueAt = this.#at
        if (hasType || !this.#value(level + 1)) return false
        hasType = true
        // What it brings is counted in another way, or may be.
        if (begins === quote && this.#counts && (this.#isEscaped || this.#isMedia(valueAt))) return false
      } else if (!this.#value(level + 1)) return false
      if (this.#next() !== comma) break
      this.#begin()
    }
    if (this.#next() !== closeBrace || (isMessage && !hasRole)) return false
    this.#at++
    return true
  }

  /** A message's, which is a text without escapes. */
  #role(begins: number): boolean {
    const from = this.#at + 1
    if (begins !== quote || !this.#string() || this.#isEscaped) return false
    const to = this.#at - 1
    const isDeveloper = this.#spells(developer, from, to)
    this.#hasDeveloper ||= isDeveloper
    this.#hasSystem ||= isDeveloper || this.#spells(system, from, to)
    return true
  }

  #isMedia(from: number): boolean {
    const [start, stop] = [from + 1, this.#at - 1]
    return media.some(word => this.#spells(word, start, stop))
  }

  /** A field's name; `null`: none, or one that is written in an unusual way. */
  #name(): string | null {
    if (this.#next() !== quote) return null
    const from = this.#at + 1
    if (!this.#string() || this.#isEscaped) return null
    const to = this.#at - 1
    if (this.#characters !== to - from || this.#next() !== colon) return null
    this.#at++
    return this.#text.slice(from, to)
  }

  /** From quote to quote. */
  #string(): boolean {
    const bytes = this.#bytes
    const from = this.#at + 1
    let at = from
    let less = 0
    this.#isEscaped = false
    for (;;) {
      at = skipPlain(this.#view, at)
      // What is left of the four bytes that were not all plain.
      let kind = kinds[bytes[at] ?? 0]
      for (const stop = at + 3; kind === plain && at < stop;) kind = kinds[bytes[++at] ?? 0]
      if (kind === plain) continue
      if (kind === closing) break
      if (kind === control) return false
      if (kind === escape) {
        this.#isEscaped = true
        const length = escapeLength(bytes, at)
        if (length === 0) return false
        less += length - 1
        at += length
        continue
      }
      this.#isAscii = false
      // UTF-8 takes more bytes than a text has characters; one beyond 16 bits counts as two.
      if (kind === following) less++
      else if (kind === wide) less--
      at++
    }
    this.#characters = at - from - less
    this.#at = at + 1
    return true
  }

  #literal(word: string): boolean {
    const bytes = this.#bytes
    for (let i = 0; i < word.length; i++) if (bytes[this.#at + i] !== word.charCodeAt(i)) return false
    this.#at += word.length
    return true
  }

  /** One that is the same when it is written again: no exponent, no negative zero, not too many digits. */
  #number(): boolean {
    const bytes = this.#bytes
    const from = this.#at
    let at = from
    if (bytes[at] === minus) at++
    const whole = at
    while (isDigit(bytes[at])) at++
    if (at === whole || (bytes[whole] === zero && (at > whole + 1 || whole > from))) return false
    if (bytes[at] === dot) {
      const fraction = ++at
      while (isDigit(bytes[at])) at++
      if (at === fraction) return false
    }
    if (at - whole > mostDigits || bytes[at] === 0x65 || bytes[at] === 0x45) return false
    this.#at = at
    return true
  }

  #spells(word: Uint8Array, from: number, to: number): boolean {
    if (to - from !== word.length) return false
    const bytes = this.#bytes
    for (let i = 0; i < word.length; i++) if (bytes[from + i] !== word[i]) return false
    return true
  }
}

function isNamed(fields: readonly FieldPlace[], name: string): boolean {
  for (const field of fields) if (field.name === name) return true
  return false
}

/** Four bytes at once, as long as all of them are ASCII and neither quote, backslash nor control characters. */
function skipPlain(view: DataView, from: number): number {
  let at = from
  for (const last = view.byteLength - 4; at <= last; at += 4) {
    const four = view.getInt32(at, true)
    const quotes = four ^ 0x22222222
    const backslashes = four ^ 0x5c5c5c5c
    // A byte's highest bit is set where it is below what is subtracted; one too many is looked at again.
    const below = (four - 0x20202020) | (quotes - 0x01010101) | (backslashes - 0x01010101)
    if (((below | four) & 0x80808080) !== 0) break
  }
  return at
}

/** How long the escape is that begins here; 0: it is none. */
function escapeLength(bytes: Buffer, at: number): number {
  const byte = bytes[at + 1] ?? 0
  if (isSimpleEscape[byte] === 1) return 2
  if (byte !== 0x75) return 0
  for (let i = at + 2; i < at + 6; i++) if (!isHex(bytes[i])) return 0
  return 6
}

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39

function isHex(byte: number | undefined): boolean {
  if (byte === undefined) return false
  const letter = byte | 0x20
  return isDigit(byte) || (letter >= 0x61 && letter <= 0x66)
}

const [plain, closing, escape, control, following, wide, leading] = [0, 1, 2, 3, 4, 5, 6]
const kinds = Uint8Array.from({ length: 256 }, (_, byte) => kindOf(byte))

function kindOf(byte: number): number {
  if (byte === quote) return closing
  if (byte === backslash) return escape
  if (byte < 0x20) return control
  if (byte < 0x80) return plain
  if (byte < 0xc0) return following
  return byte < 0xf0 ? leading : wide
}

const isSimpleEscape = Uint8Array.from({ length: 256 }, (_, byte) =>
  '"\\/bfnrt'.includes(String.fromCharCode(byte)) ? 1 : 0,
)
const role = Buffer.from('role')
const content = Buffer.from('content')
const type = Buffer.from('type')
const system = Buffer.from('system')
const developer = Buffer.from('developer')
/** Parts whose length tells nothing of their tokens. */
const media = ['image_url', 'input_audio', 'file'].map(word => Buffer.from(word))
/** Fields that `promptTokens` counts. */
const prompts: ReadonlySet<string> = new Set(['messages', 'prompt', 'input', 'tools', 'query', 'documents'])
