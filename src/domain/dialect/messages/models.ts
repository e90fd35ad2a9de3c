/** `GET /v1/models` and `/v1/models/{id}` as Anthropic's clients read them. Rule M38. */
import type { ModelListing } from '../../serving/index.ts'

/** `created` is when the service took this snapshot, in seconds since 1970. */
export function toAnthropicModels(listings: readonly Pick<ModelListing, 'name'>[], created: number) {
  const data = listings.map(listing => toAnthropicModel(listing, created))
  return { data, has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null }
}

export function toAnthropicModel({ name }: Pick<ModelListing, 'name'>, created: number) {
  return { type: 'model', id: name, display_name: name, created_at: toIso(created) }
}

const daySeconds = 86_400
/** Days of 400 years: after them the calendar repeats. */
const cycleDays = 146_097

/** Seconds since 1970 in UTC. Years are counted from March, so that the day that leap years add is their last. */
function toIso(seconds: number): string {
  const inDay = ((seconds % daySeconds) + daySeconds) % daySeconds
  // From 0000-03-01.
  const days = (seconds - inDay) / daySeconds + 719_468
  const cycle = Math.floor(days / cycleDays)
  const inCycle = days - cycle * cycleDays
  const yearOfCycle = Math.floor(
    (inCycle - Math.floor(inCycle / 1_460) + Math.floor(inCycle / 36_524) - Math.floor(inCycle / 146_096)) / 365,
  )
  const inYear = inCycle - (365 * yearOfCycle + Math.floor(yearOfCycle / 4) - Math.floor(yearOfCycle / 100))
  // March to July and August to December are 153 days each.
  const fromMarch = Math.floor((5 * inYear + 2) / 153)
  const day = inYear - Math.floor((153 * fromMarch + 2) / 5) + 1
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
  const year = yearOfCycle + cycle * 400 + (month <= 2 ? 1 : 0)
  const clock = [inDay / 3_600, (inDay / 60) % 60, inDay % 60].map(part => digits(Math.floor(part), 2)).join(':')
  return `${digits(year, 4)}-${digits(month, 2)}-${digits(day, 2)}T${clock}Z`
}

const digits = (value: number, length: number): string => String(value).padStart(length, '0')
