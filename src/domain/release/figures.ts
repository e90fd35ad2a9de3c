/** Numbers as sentences say them. */
import type { Millis } from '../units.ts'

export const number = (value: number): string => String(value).replaceAll(/\B(?=(\d{3})+$)/g, ',')

export const counted = (value: number, noun: string, plural = `${noun}s`): string =>
  `${number(value)} ${value === 1 ? noun : plural}`

export function percent(share: number): string {
  const value = share * 100
  return `${Number(value.toPrecision(value < 10 ? 2 : 3))} %`
}

/** `310 : 1`, as people bet. */
export function odds(eValue: number): string {
  if (eValue >= 1e9) return 'more than 1,000,000,000 : 1'
  return eValue < 10 ? `${eValue.toFixed(1)} : 1` : `${number(Math.floor(eValue))} : 1`
}

export function lasting(time: Millis): string {
  if (time < 1000) return `${Math.round(time)} ms`
  if (time < 120_000) return `${Math.round(time / 1000)} s`
  if (time < 7_200_000) return `${Math.round(time / 60_000)} min`
  return `${Number((time / 3_600_000).toFixed(1))} h`
}

/** Of a logarithm, so that it stays a number in JSON. */
export const eValueOf = (logE: number): number => Math.exp(Math.min(logE, 700))
