/** A body that goes to its engine as it came, but for a few fields: not parsed, and not rendered again. */
import type { BodyChanges, PlainBody } from '../../domain/serving/index.ts'
import { tokens } from '../../domain/units.ts'
import type { FieldPlace, ScannedBody } from './scan-body.ts'

export function plainBody({ bytes, latin1, fields, promptTokens, messages }: ScannedBody): PlainBody {
  return {
    promptTokens: tokens(promptTokens),
    hasMessages: messages !== null,
    hasSystem: messages?.hasSystem === true,
    hasDeveloper: messages?.hasDeveloper === true,
    has: name => place(name) !== undefined,
    hasText(name) {
      const found = place(name)
      if (found === undefined) return false
      const { from, to } = found
      return bytes[from] === quote ? to - from > 2 : bytes[from] === openBracket && !isEmpty(bytes, from)
    },
    field(name) {
      const found = place(name)
      return found === undefined ? undefined : valueOf(found)
    },
    holdsName: name => latin1.includes(`"${name}"`),
    with: render,
  }

  function place(name: string): FieldPlace | undefined {
    for (const field of fields) if (field.name === name) return field
    return undefined
  }

  function valueOf({ from, to, isPlain }: FieldPlace): unknown {
    if (isPlain) return latin1.slice(from + 1, to - 1)
    if (bytes[from] === letterT) return true
    if (bytes[from] === letterF) return false
    return JSON.parse(bytes.toString('utf8', from, to))
  }

  /** As Latin-1 from end to end, so that the bytes stay what they are. */
  function render({ fields: changed, firstMessage }: BodyChanges): Uint8Array {
    let text = ''
    for (const field of fields) {
      const { name, from, to } = field
      const isChanged = Object.hasOwn(changed, name)
      if (isChanged && changed[name] === undefined) continue
      text += `${text === '' ? '{' : ','}"${name}":`
      if (isChanged) text += toLatin1(changed[name])
      else if (name !== 'messages' || firstMessage === null || messages === null) text += latin1.slice(from, to)
      else text += `[${toLatin1(firstMessage)},${latin1.slice(messages.first, to)}`
    }
    for (const name of Object.keys(changed)) {
      if (changed[name] === undefined || place(name) !== undefined) continue
      text += `${text === '' ? '{' : ','}${toLatin1(name)}:${toLatin1(changed[name])}`
    }
    return Buffer.from(`${text}}`, 'latin1')
  }
}

/** JSON, its UTF-8 as Latin-1. */
function toLatin1(value: unknown): string {
  const json = JSON.stringify(value)
  return isAscii(json) ? json : Buffer.from(json).toString('latin1')
}

const isAscii = (text: string): boolean => Buffer.byteLength(text) === text.length

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
