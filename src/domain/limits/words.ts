/** Words: what a gateway tells the store of one subject, and what the store answers. Rules W1… in SPEC.md. */
import { type Account, dropBlocks, type Gauge } from './account.ts'
import { flatten, mirrorTotal, openWindow, recentOf } from './window.ts'

/** How long what the store granted may be used: as long as the store counts on it. */
export const blockSpan = 1_000
/** A store that had no room is asked again after this. */
const closedSpan = 100

export type Word = {
  id: string
  number: number
  /** The word that this one goes on from; `null`: this one tells everything, whatever was told before. */
  after: number | null
  /** `null`: not bounded. */
  requests: GaugeWord | null
  tokens: GaugeWord | null
  places: PlacesWord | null
}

export type GaugeWord = {
  limit: number
  /** What is left of the block, and stays. */
  keep: number
  /** How much more is wished for; of it `wanted` by requests that wait, the smallest of them `smallest`. */
  want: number
  wanted: number
  smallest: number
  /** Slice and count, one after the other: what changed, or everything. */
  changes: number[]
}

export type PlacesWord = { limit: number; inUse: number; keep: number; want: number; wanted: number }

/** `null`: the word was not understood, for the one before is not known. The next has to tell everything. */
export type Answer = { requests: Granted; tokens: Granted; places: { granted: number; others: number } } | null

export type Granted = {
  granted: number
  /** In milliseconds, until the smallest that waits would fit; 0 where everything was granted. */
  fitsIn: number
  /** What all the other gateways have used or hold. */
  others: number
}

/** The next word about an account. `grant: false`: it tells and wishes for nothing. */
export function toWord(account: Account, number: number, { now, grant }: { now: number; grant: boolean }): Word {
  if (now >= account.heldUntil || account.idle) dropBlocks(account)
  trim(account, now)
  const after = account.told
  const { limits, requests, tokens, places } = account
  const { requestsPerMinute, tokensPerMinute, parallel } = limits
  const gauge = (of: Gauge, limit: number | undefined): GaugeWord | null =>
    limit === undefined ? null : gaugeWord(of, limit, { now, whole: after === null, grant: grant && !account.idle })
  const wish = grant && !account.idle ? wantedPlaces(account) : 0
  const word: Word = {
    id: account.id,
    number,
    after,
    requests: gauge(requests, requestsPerMinute),
    tokens: gauge(tokens, tokensPerMinute),
    places:
      parallel === undefined
        ? null
        : {
            ...{ limit: parallel, inUse: account.leases, keep: places.spare },
            ...{ want: wish, wanted: grant ? places.wanted : 0 },
          },
  }
  if (grant) places.wanted = 0
  account.told = number
  account.toldAt = now
  return word
}

/** Takes in what the store said to a word sent at `sentAt`. */
export function hearAnswer(account: Account, { word, answer, sentAt }: Heard, now: number): void {
  if (answer === null) {
    account.told = null
    return
  }
  account.heldUntil = sentAt + blockSpan
  hearGauge(account.requests, { word: word.requests, answer: answer.requests }, now)
  hearGauge(account.tokens, { word: word.tokens, answer: answer.tokens }, now)
  const { places } = account
  places.spare += answer.places.granted
  places.others = answer.places.others
  if (word.places !== null) places.closedUntil = answer.places.granted < word.places.wanted ? now + closedSpan : 0
}

type Heard = { word: Word; answer: Answer; sentAt: number }

/** Half of it is left: time to fetch more, before anybody has to wait. */
export function isLow(account: Account, now: number): boolean {
  const { limits, requests, tokens, places } = account
  return (
    (limits.requestsPerMinute !== undefined && requests.block * 2 < ahead(requests, now)) ||
    (limits.tokensPerMinute !== undefined && tokens.block * 2 < ahead(tokens, now)) ||
    (limits.parallel !== undefined && places.spare * 2 < placesAhead(account))
  )
}

function gaugeWord(
  gauge: Gauge,
  limit: number,
  { now, whole, grant }: { now: number; whole: boolean; grant: boolean },
): GaugeWord {
  const changes = whole || gauge.untold === null ? flatten(gauge.own, now) : [...gauge.untold].flat()
  gauge.untold = new Map()
  const wanted = grant ? gauge.wanted : 0
  const word = {
    ...{ limit, keep: gauge.block, wanted, smallest: Math.min(gauge.smallest, limit), changes },
    want: grant ? Math.max(wanted, wanted + ahead(gauge, now) - gauge.block) : 0,
  }
  if (grant) {
    gauge.wanted = 0
    gauge.smallest = Infinity
  }
  return word
}

function hearGauge(gauge: Gauge, { word, answer }: { word: GaugeWord | null; answer: Granted }, now: number): void {
  if (word === null) return
  gauge.block += answer.granted
  if (gauge.others !== null || answer.others > 0) mirrorTotal((gauge.others ??= openWindow()), now, answer.others)
  if (word.wanted === 0) return
  const { fitsIn } = answer
  gauge.closed =
    answer.granted < word.wanted
      ? { until: now + Math.min(fitsIn, closedSpan), amount: word.smallest, fitsAt: now + fitsIn }
      : null
}

/** Held for a rush that is over: others may have it. */
function trim(account: Account, now: number): void {
  for (const gauge of [account.requests, account.tokens]) gauge.block = Math.min(gauge.block, 2 * ahead(gauge, now))
  account.places.spare = Math.min(account.places.spare, placesAhead(account))
}

/** How much to hold ready: a third of a second's use, and enough for one more like the latest. */
export function ahead(gauge: Gauge, now: number): number {
  const recent = recentOf(gauge.own, now)
  return recent === 0 ? 0 : Math.max(Math.ceil(recent / 4), gauge.latest)
}

function placesAhead({ peak, idle }: Account): number {
  return idle ? 0 : 1 + Math.ceil(peak / 4)
}

const wantedPlaces = (account: Account): number =>
  Math.max(account.places.wanted, account.places.wanted + placesAhead(account) - account.places.spare)
