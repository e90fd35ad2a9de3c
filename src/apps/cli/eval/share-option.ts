/** Options that are shares: `2%`, `0.5pp`, `0.02`. */
import { InvalidArgumentError } from 'commander'

export const margin = (text: string): number => share(text)

export function sharePassed(text: string): number {
  const value = share(text)
  if (value === 0) throw new InvalidArgumentError('It must be more than 0.')
  return value
}

export function temperature(text: string): number {
  const value = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && value <= 2) return value
  throw new InvalidArgumentError('It must be a number from 0 to 2.')
}

function share(text: string): number {
  const [, digits, unit] = /^(\d{1,3}(?:\.\d{1,6})?)(%|pp)?$/.exec(text) ?? []
  const value = Number(digits) / (unit === undefined ? 1 : 100)
  if (digits !== undefined && value <= 1) return value
  throw new InvalidArgumentError('It must be a share, such as 2% or 0.02.')
}
