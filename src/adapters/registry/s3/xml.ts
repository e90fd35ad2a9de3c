/**
 * The few XML documents that S3 answers with, and no more of XML than they have: elements, text, the five entities and
 * numbered characters. Document types, and with them entities of one's own, are refused; depth and count are bounded.
 */

export type Element = { name: string; text: string; children: Element[] }

const mostDepth = 16
/** A page of a thousand objects has about ten each. */
const mostElements = 50_000
const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** The root; `null`: this is not such a document. */
export function parseXml(document: string): Element | null {
  const root: Element = { name: '', text: '', children: [] }
  const open: Element[] = [root]
  const body = document.replace(/^\uFEFF?\s*<\?xml[^<>]*\?>/, '')
  let count = 0
  let end = 0
  for (const match of body.matchAll(piece)) {
    const { text, closing, opening, empty } = match.groups ?? {}
    end = match.index + match[0].length
    const inner = open.at(-1)
    if (inner === undefined) return null
    if (text !== undefined) {
      const plain = unescape(text)
      if (plain === null || (inner === root && plain.trim() !== '')) return null
      inner.text += plain
    } else if (closing !== undefined) {
      if (inner === root || inner.name !== closing) return null
      open.pop()
    } else if (opening !== undefined) {
      const child: Element = { name: opening, text: '', children: [] }
      if (++count > mostElements || open.length > mostDepth || (inner === root && root.children.length > 0)) return null
      inner.children.push(child)
      if (empty === undefined) open.push(child)
    }
  }
  // It ends early where something stands that is not read here.
  return open.length === 1 && end === body.length ? (root.children[0] ?? null) : null
}

export const childrenOf = (element: Element, name: string): Element[] =>
  element.children.filter(child => child.name === name)

export const textIn = (element: Element, name: string): string | null =>
  element.children.find(child => child.name === name)?.text ?? null

/** One text, end tag, or start tag; prefixes of namespaces are passed over. Each alternative begins with another character. */
const piece =
  /(?<text>[^<]+)|<\/(?:[\w.-]+:)?(?<closing>[\w.-]+)\s*>|<(?:[\w.-]+:)?(?<opening>[\w.-]+)(?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*\s*(?<empty>\/)?>/gy

function unescape(text: string): string | null {
  let known = true
  const plain = text.replace(/&([^;\s&]{0,10});?/g, (whole, name: string) => {
    const character = whole.endsWith(';') ? characterOf(name) : null
    known &&= character !== null
    return character ?? ''
  })
  return known ? plain : null
}

function characterOf(name: string): string | null {
  const [, hex, decimal] = /^#(?:x([0-9a-f]{1,6})|([0-9]{1,7}))$/i.exec(name) ?? []
  if (hex === undefined && decimal === undefined) return Object.hasOwn(entities, name) ? (entities[name] ?? null) : null
  const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
  return code > 0 && code <= 0x10_ff_ff ? String.fromCodePoint(code) : null
}
