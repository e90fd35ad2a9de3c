/** A body that goes to its engine as it came, but for a few fields: not parsed, and not rendered again. */
import type { BodyChanges, PlainBody } from '../../domain/serving/index.ts'
import { tokens, type Tokens } from '../../domain/units.ts'
import type { FieldPlace, ScannedBody } from './scan-body.ts'

export const plainBody = (scanned: ScannedBody): PlainBody => new BodyAsScanned(scanned)

/** A class: there is one for each request, and a closure for each question costs more than the few that are asked. */
class BodyAsScanned implements PlainBody {
  readonly promptTokens: Tokens
  readonly hasMessages: boolean
  readonly hasSystem: boolean
  readonly hasDeveloper: boolean
  readonly #scanned: ScannedBody

  constructor(scanned: ScannedBody) {
    const { messages } = scanned
    this.promptTokens = tokens(scanned.promptTokens)
    this.hasMessages = messages !== null
    this.hasSystem = messages !== null && messages.hasSystem
    this.hasDeveloper = messages !== null && messages.hasDeveloper
    this.#scanned = scanned
  }

  has(name: string): boolean {
    return this.#place(name) !== undefined
  }

  hasText(name: string): boolean {
    const found = this.#place(name)
    if (found === undefined) return false
    const { bytes } = this.#scanned
    const { from, to } = found
    return bytes[from] === quote ? to - from > 2 : bytes[from] === openBracket && !isEmpty(bytes, from)
  }

  field(name: string): unknown {
    const found = this.#place(name)
    if (found === undefined) return undefined
    const { bytes, latin1 } = this.#scanned
    const { from, to, isPlain } = found
    if (isPlain) return latin1.slice(from + 1, to - 1)
    if (bytes[from] === letterT) return true
    if (bytes[from] === letterF) return false
    return JSON.parse(bytes.toString('utf8', from, to))
  }

  holdsName(name: string): boolean {
    return this.#scanned.latin1.includes(`"${name}"`)
  }

  with(changes: BodyChanges): string | Uint8Array {
    const { bytes, latin1, isAscii } = this.#scanned
    if (this.#isChangedBy(changes)) return this.#render(changes)
    return isAscii ? latin1 : bytes
  }

  #place(name: string): FieldPlace | undefined {
    for (const field of this.#scanned.fields) if (field.name === name) return field
    return undefined
  }

  /** What is set to the text that it has, or left out where it is not, is no change. */
  #isChangedBy({ fields, firstMessage }: BodyChanges): boolean {
    if (firstMessage !== null) return true
    for (const name in fields) {
      const value = fields[name]
      const found = this.#place(name)
      if (found === undefined ? value !== undefined : !found.isPlain || this.field(name) !== value) return true
    }
    return false
  }

  /** As Latin-1 from end to end, so that the bytes stay what they are. */
  #render({ fields: changed, firstMessage }: BodyChanges): string | Uint8Array {
    const { latin1, fields, messages } = this.#scanned
    let { isAscii } = this.#scanned
    let text = ''
    const add = (json: string): void => {
      const isPlain = isAsciiText(json)
      isAscii &&= isPlain
      text += isPlain ? json : Buffer.from(json).toString('latin1')
    }
    for (const { name, from, to } of fields) {
      const isChanged = Object.hasOwn(changed, name)
      if (isChanged && changed[name] === undefined) continue
      text += `${text === '' ? '{' : ','}"${name}":`
      if (isChanged) add(JSON.stringify(changed[name]))
      else if (name !== 'messages' || firstMessage === null || messages === null) text += latin1.slice(from, to)
      else {
        text += '['
        add(JSON.stringify(firstMessage))
        text += `,${latin1.slice(messages.first, to)}`
      }
    }
    for (const name of Object.keys(changed)) {
      if (changed[name] === undefined || this.#place(name) !== undefined) continue
      text += text === '' ? '{' : ','
      add(`${JSON.stringify(name)}:${JSON.stringify(changed[name])}`)
    }
    text += text === '' ? '{}' : '}'
    return isAscii ? text : Buffer.from(text, 'latin1')
  }
}

const isAsciiText = (text: string): boolean => Buffer.byteLength(text) === text.length

const letterT = 0x74
const letterF = 0x66
const quote = 0x22
const openBracket = 0x5b
const closeBracket = 0x5d

function isEmpty(bytes: Buffer, from: number): boolean {
  let at = from + 1
  while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at++
  return bytes[at] === closeBracket
}
