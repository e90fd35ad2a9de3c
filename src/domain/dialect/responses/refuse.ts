/** Refusals: reading goes on after the first mistake, with something harmless in its place, and only the first is told. */
import type { Fault } from '../../fault.ts'

export type Json = Readonly<Record<string, unknown>>

/** Notes a mistake in the client's body: the parameter, and what would be right there. */
export type Refuse = (param: string, problem: string) => void

export function firstRefusal(): { refuse: Refuse; first: () => Fault | null } {
  let first: Fault | null = null
  return {
    refuse(param, problem) {
      first ??= { kind: 'request-invalid', param, problem }
    },
    first: () => first,
  }
}

/** Reads fields of one object of the body; `at` is its place (`input[2]`), '' for the body itself. */
export function fieldReader(object: Json, at: string, refuse: Refuse) {
  const place = (name: string): string => (at === '' ? name : `${at}.${name}`)
  return {
    place,

    /** A string that must be there. */
    text(name: string, what: string): string {
      const value = object[name]
      if (typeof value === 'string') return value
      refuse(place(name), `'${place(name)}' must be ${what}, a string.`)
      return ''
    },

    /** `null` stands for a field that was left out, as the API's own libraries send it. */
    optional<T>(name: string, isRight: (value: unknown) => value is T, what: string): T | null {
      const value = object[name]
      if (value === undefined || value === null) return null
      if (isRight(value)) return value
      refuse(place(name), `'${place(name)}' must be ${what}.`)
      return null
    },
  }
}

export const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
export const isText = (value: unknown): value is string => typeof value === 'string'
export const isFlag = (value: unknown): value is boolean => typeof value === 'boolean'
export const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value)
export const isBetween =
  (least: number, most: number) =>
  (value: unknown): value is number =>
    typeof value === 'number' && value >= least && value <= most
