/** Looks into a document that may be anything: what is not there, or is of another kind, is simply absent. */

export type Path = readonly (string | number)[]

/** A document's map, or null. */
export function mapOf(value: unknown): ReadonlyMap<string, unknown> | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  return new Map(Object.entries(value))
}

export function field(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  // Own keys only: a document may have a key named `constructor`, and every object has a property of that name.
  return Object.getOwnPropertyDescriptor(value, key)?.value
}

/** What a path leads to. */
export function valueAt(document: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, step) => {
    if (typeof step === 'number') return Array.isArray(value) ? value[step] : undefined
    return field(value, step)
  }, document)
}

/** The items of a list with their paths. */
export function items(document: unknown, path: Path): { value: unknown; path: Path }[] {
  const value = valueAt(document, path)
  return Array.isArray(value) ? value.map((item: unknown, at) => ({ value: item, path: [...path, at] })) : []
}

/** The entries of a map with their paths. */
export function entries(document: unknown, path: Path): { key: string; value: unknown; path: Path }[] {
  return [...(mapOf(valueAt(document, path)) ?? [])].map(([key, value]) => ({ key, value, path: [...path, key] }))
}

export const asText = (value: unknown): string | null => (typeof value === 'string' ? value : null)

/** `models[0].live` */
export function printPath(path: Path): string {
  return path.map((step, at) => (typeof step === 'number' ? `[${step}]` : `${at === 0 ? '' : '.'}${step}`)).join('')
}
