/** Looks into a config that may be anything: what is of another kind than asked counts as not there. */
import { printPath } from '../spec/index.ts'

export type Path = readonly (string | number)[]

/** A map's own entries; none for anything else. */
export function entriesOf(value: unknown): [key: string, value: unknown][] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : []
}

export function fieldOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  // Own keys only: a config may have a key named `constructor`, and every object has a property of that name.
  return Object.getOwnPropertyDescriptor(value, key)?.value
}

export const itemsOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
export const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)

/** A finite number, also where somebody put it in quotes. */
export function numberOf(value: unknown): number | null {
  const number = typeof value === 'string' && /^\d{1,12}(\.\d{1,6})?$/.test(value.trim()) ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? number : null
}

const longestStep = 80

/** `model_list[0].litellm_params.rpm`; keys may be of any length, and nobody reads those. */
export const sayPath = (path: Path): string =>
  printPath(
    path.map(step => (typeof step === 'string' && step.length > longestStep ? `${step.slice(0, longestStep)}…` : step)),
  )
