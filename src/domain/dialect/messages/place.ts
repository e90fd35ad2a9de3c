/**
 * Places in a client's body, named as Anthropic names them (`messages.0.content.1.type`): what stands there, or a
 * FaultError that says what should. Thrown here, and caught once, where a whole body is read (`readBody`).
 */
import { FaultError, type Fault } from '../../fault.ts'

export type Json = Readonly<Record<string, unknown>>

/** Reads a body with functions of this file. */
export function readBody<T extends object>(body: unknown, read: (body: Json) => T): ({ ok: true } & T) | Refused {
  try {
    if (!isRecord(body)) throw refuse(null, 'The request body must be a JSON object.')
    return { ok: true, ...read(body) }
  } catch (error) {
    if (error instanceof FaultError) return { ok: false, fault: error.fault }
    throw error
  }
}
type Refused = { ok: false; fault: Fault }

export function recordAt(value: unknown, at: string): Json {
  if (isRecord(value)) return value
  throw wrong(at, 'an object', value)
}

export function listAt(value: unknown, at: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw wrong(at, 'an array', value)
}

export function textAt(value: unknown, at: string): string {
  if (typeof value === 'string') return value
  throw wrong(at, 'a string', value)
}

export function nameAt(value: unknown, at: string): string {
  const name = textAt(value, at)
  if (name !== '') return name
  throw refuse(at, `'${at}' must not be empty.`)
}

export function flagAt(value: unknown, at: string): boolean {
  if (typeof value === 'boolean') return value
  throw wrong(at, 'true or false', value)
}

export function numberBetween(least: number, most: number): (value: unknown, at: string) => number {
  return (value, at) => {
    if (typeof value === 'number' && value >= least && value <= most) return value
    throw wrong(at, `a number from ${least} to ${most}`, value)
  }
}

export function wholeFrom(least: number): (value: unknown, at: string) => number {
  return (value, at) => {
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value
    throw wrong(at, `a whole number, ${least} or more`, value)
  }
}

/** An object that goes to the engine as it is: a schema, the input of a tool. */
export function plainAt(value: unknown, at: string): Record<string, unknown> {
  const plain = recordAt(value, at)
  if (!isDeeper(plain, deepest)) return { ...plain }
  throw refuse(at, `'${at}' is nested deeper than ${deepest} levels.`)
}

/** Clients send `null` for what they leave out. */
export function optional<T>(value: unknown, at: string, read: (value: unknown, at: string) => T): T | undefined {
  return value === undefined || value === null ? undefined : read(value, at)
}

/** The fields that have a value. */
export function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  // What is left has the types that it had, without `undefined`.
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

export function refuse(param: string | null, problem: string): FaultError {
  return new FaultError({ kind: 'request-invalid', param, problem })
}

/** For what Anthropic has and engines don't. */
export function unsupported(what: string, instead: string): FaultError {
  return new FaultError({ kind: 'unsupported', what, instead })
}

/** A value as an error may repeat it: short, and nobody's prompt. */
export function told(value: unknown): string {
  if (value === undefined || value === null) return 'missing'
  if (typeof value === 'string') return `'${value.slice(0, 64)}'`
  return Array.isArray(value) ? 'an array' : typeof value
}

export const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Real schemas have some ten levels; what writes JSON fails at some thousands. */
export const deepest = 200

export function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some(inner => isDeeper(inner, levels - 1))
}

function wrong(at: string, right: string, value: unknown): FaultError {
  const is = value === undefined || value === null ? 'it is missing' : `it is ${kindOf(value)}`
  return refuse(at, `'${at}' must be ${right}; ${is}.`)
}

function kindOf(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return 'a string'
  return Array.isArray(value) ? 'an array' : 'an object'
}
