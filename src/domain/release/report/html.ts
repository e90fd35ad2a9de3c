/** HTML as data: text is text wherever it stands, so that nothing that a model or a person wrote becomes markup. */

/** `raw` is markup of our own. */
export type Node = string | number | { raw: string }

/** `html`<p>${text}</p>``: what is put in is escaped, unless it is markup already; lists stand one after another. */
export function html(parts: TemplateStringsArray, ...values: (Node | readonly Node[])[]): { raw: string } {
  return { raw: parts.map((part, at) => part + (at < values.length ? markupOf(values[at] ?? '') : '')).join('') }
}

function markupOf(value: Node | readonly Node[]): string {
  if (isList(value)) return value.map(markupOf).join('')
  return typeof value === 'object' ? value.raw : escape(String(value))
}

const isList = (value: Node | readonly Node[]): value is readonly Node[] => Array.isArray(value)

const named: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escape = (text: string): string => text.replaceAll(/[&<>"']/g, sign => named[sign] ?? sign)
