/** Strings that a chat template renders by itself, so that none of them spells a control token: it could forge a turn's end. */

/** `controlsIn`: texts of the control tokens that a tokenizer would read in a text. A mark without width breaks them up. */
export function withoutControlTokens<T>(value: T, controlsIn: (text: string) => readonly string[]): T
export function withoutControlTokens(value: unknown, controlsIn: (text: string) => readonly string[]): unknown {
  if (typeof value === 'string')
    return controlsIn(value).reduce((text, control) => text.replaceAll(control, broken(control)), value)
  if (Array.isArray(value)) return value.map((entry: unknown) => withoutControlTokens(entry, controlsIn))
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(([name, member]) => [
    withoutControlTokens(name, controlsIn),
    withoutControlTokens<unknown>(member, controlsIn),
  ])
  return Object.fromEntries(members)
}

const broken = (control: string): string => `${control.slice(0, 1)}\u200B${control.slice(1)}`
