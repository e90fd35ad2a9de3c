/** Options that are whole numbers. */
import { InvalidArgumentError } from 'commander'

/** A parser for commander: anything else than a whole number from `least` to `most` is wrong usage. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return text => {
    const number = Number(text)
    if (/^\d+$/.test(text) && number >= least && number <= most) return number
    throw new InvalidArgumentError(`It must be a number from ${least} to ${most}.`)
  }
}
