/** Measures as people write them in the spec (`20MiB`, `5m`, `5%`, `600W`), parsed to plain numbers of one unit each. */
import { z } from 'zod'
import { bytes, millis, share as toShare } from '../units.ts'

const kilo = 1000
const kibi = 1024
const sizeUnits: Record<string, number> = {
  B: 1,
  kB: kilo,
  MB: kilo ** 2,
  GB: kilo ** 3,
  TB: kilo ** 4,
  KiB: kibi,
  MiB: kibi ** 2,
  GiB: kibi ** 3,
  TiB: kibi ** 4,
}
const durationUnits: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const powerUnits: Record<string, number> = { W: 1, kW: 1000 }

/** Longer than this is a slip of the hand, and the number stays exact. */
const longestDurationMs = 3660 * 86_400_000
/** Node's timers hold 24.8 days; a longer one would fire at once. */
const longestTimerMs = 7 * 86_400_000

const number = String.raw`\d{1,12}(?:\.\d{1,6})?`
const pattern = (units: Record<string, number>, suffix = ''): RegExp =>
  new RegExp(`^(${number})(${Object.keys(units).join('|')})${suffix}$`)

const sizePattern = pattern(sizeUnits)
const ratePattern = pattern(sizeUnits, '/s')
const durationPattern = pattern(durationUnits)
const powerPattern = pattern(powerUnits)
const percentPattern = new RegExp(`^(${number})%$`)
const pointsPattern = new RegExp(`^(${number})(%|pp)$`)

const says = {
  size: 'expected a size with its unit, such as 20MiB or 96GiB',
  rate: 'expected a size for each second, such as 307GB/s',
  duration: 'expected a duration with its unit (ms, s, m, h, d), such as 30s or 5m',
  durationOrOff: 'expected a duration with its unit (ms, s, m, h, d), such as 60s, or off',
  power: 'expected a power in watts, such as 600W',
  share: 'expected a share: a number from 0 to 1, or per cent, such as 5%',
  margin: 'expected a margin: a number from 0 to 1, per cent, or percentage points, such as 2% or 0.5pp',
}

const amount = (text: string, form: RegExp, units: Record<string, number>): number => {
  const [, digits = '', unit = ''] = form.exec(text) ?? []
  return Number(digits) * (units[unit] ?? 1)
}

/** A size in bytes, more than 0. */
export const size = (meaning: string, { atMost = Number.MAX_SAFE_INTEGER }: { atMost?: number } = {}) =>
  z
    .string(says.size)
    .regex(sizePattern, says.size)
    .transform(text => bytes(Math.round(amount(text, sizePattern, sizeUnits))))
    .refine(value => value > 0, 'must be more than 0')
    .refine(value => value <= atMost, `must be at most ${Math.floor(atMost / kibi ** 2)}MiB`)
    .meta({ title: 'size', description: meaning })

/** Bytes for each second. */
export const rate = (meaning: string) =>
  z
    .string(says.rate)
    .regex(ratePattern, says.rate)
    .transform(text => amount(text, ratePattern, sizeUnits))
    .refine(value => value > 0, 'must be more than 0')
    .meta({ title: 'size per second', description: meaning })

const durationUpTo = (meaning: string, atMostMs: number) =>
  z
    .string(says.duration)
    .regex(durationPattern, says.duration)
    .transform(text => millis(Math.round(amount(text, durationPattern, durationUnits))))
    .refine(value => value > 0, 'must be more than 0')
    .refine(value => value <= atMostMs, `must be at most ${Math.floor(atMostMs / 86_400_000)}d`)
    .meta({ title: 'duration', description: meaning })

/** A length of time in milliseconds, more than 0. */
export const duration = (meaning: string) => durationUpTo(meaning, longestDurationMs)

/** A length of time that a timer waits for. */
export const timeout = (meaning: string) => durationUpTo(meaning, longestTimerMs)

/** A length of time that a timer waits for; `off` is `null`. */
export const timeoutOrOff = (meaning: string) =>
  z
    .string(says.durationOrOff)
    .regex(new RegExp(`${durationPattern.source}|^off$`), says.durationOrOff)
    .transform(text => (text === 'off' ? null : millis(Math.round(amount(text, durationPattern, durationUnits)))))
    .refine(value => value === null || value > 0, 'must be more than 0')
    .refine(
      value => value === null || value <= longestTimerMs,
      `must be at most ${Math.floor(longestTimerMs / 86_400_000)}d`,
    )
    .meta({ title: 'duration or `off`', description: meaning })

/** Watts. */
export const power = (meaning: string) =>
  z
    .string(says.power)
    .regex(powerPattern, says.power)
    .transform(text => amount(text, powerPattern, powerUnits))
    .meta({ title: 'power', description: meaning })

const fraction =
  (form: RegExp, say: string) =>
  (value: number | string): number | string => {
    if (typeof value === 'number')
      return value >= 0 && value <= 1 ? value : `${say} (for ${value} per cent write ${value}%)`
    const percent = form.exec(value)?.[1]
    if (percent === undefined) return say
    return Number(percent) <= 100 ? Number(percent) / 100 : 'must be at most 100%'
  }

const part = (form: RegExp, say: string, title: string) => {
  const read = fraction(form, say)
  return z
    .union([z.number(), z.string()], say)
    .transform((value, context) => {
      const result = read(value)
      if (typeof result === 'number') return toShare(result)
      context.addIssue({ code: 'custom', message: result })
      return z.NEVER
    })
    .meta({ title })
}

/** A part of a whole, in [0, 1]. */
export const share = (meaning: string) =>
  part(percentPattern, says.share, 'share').meta({ title: 'share', description: meaning })

/** A difference between two shares, in [0, 1]. */
export const margin = (meaning: string) =>
  part(pointsPattern, says.margin, 'margin').meta({ title: 'margin', description: meaning })
