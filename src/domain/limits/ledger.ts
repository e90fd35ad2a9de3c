/**
 * The ledger: a gateway's accounts, and whether it grants from what the store gave it or, alone, from its own share.
 * Time comes in as numbers of a clock that never goes back.
 */
import type { Limits } from '../access/index.ts'
import { openAccount, dropBlocks, isForgettable, type Account, type Subject } from './account.ts'
import { roomAlone, type Standing } from './share.ts'
import { sliceAt } from './window.ts'
import { ahead, blockSpan, hearAnswer, toWord, type Answer, type Word } from './words.ts'

export type Ledger = {
  readonly accounts: Map<string, Account>
  /** About these the store is to hear soon. */
  readonly dirty: Set<Account>
  /** Of these the store may believe that something is held here. */
  readonly open: Set<Account>
  /** `paused`, `joining`: it grants only what it holds, until the store is back, and has been told everything. */
  phase: 'alone' | 'paused' | 'joining' | 'shared'
  /** As the link says; the store may be spoken to by fewer. */
  gateways: number
  /** For when it is alone. */
  standing: Standing
  /** It was alone before it began to join, and goes back to that where it was if it can't. */
  wasAlone: boolean
  /** What is still to be told, while joining; `null`: not even hello was said. */
  toTell: Account[] | null
  words: number
}

/**
 * One command to the store. `hello`, then `tell` and `join`, bring a gateway in that the store does not know (any more). If
 * the store forgets everything in between, it knows nothing of the hello, and says so.
 */
export type Call = {
  kind: 'hello' | 'tell' | 'join' | 'words' | 'leave'
  sentAt: number
  gateways: number
  words: Word[]
}

/**
 * `unknown`: the store has not heard of this gateway for a while, and did nothing. `early`: other gateways have yet to tell
 * it everything; it grants nothing before, and counts on what it was told here: so nothing more is granted here either for a while.
 */
export type Reply = { status: 'done' | 'unknown' | 'early'; answers: Answer[] }

/** More in one command would hold up the store for others. */
const wordsPerCall = 64
/** An account with requests under way is spoken of at least this often, so that the store keeps it. */
const longestSilence = 30_000

export const openLedger = (): Ledger => ({
  ...{ accounts: new Map(), dirty: new Set(), open: new Set(), phase: 'alone', gateways: 1 },
  ...{ standing: { gateways: 1, since: 0 }, wasAlone: true, toTell: null, words: 0 },
})

export const isBounded = ({ requestsPerMinute, tokensPerMinute, parallel }: Limits): boolean =>
  requestsPerMinute !== undefined || tokensPerMinute !== undefined || parallel !== undefined

export function accountOf(ledger: Ledger, { subject, id, limits }: Subject): Account {
  const key = `${subject}:${id}`
  const known = ledger.accounts.get(key)
  if (known !== undefined) {
    known.limits = limits
    return known
  }
  const account = openAccount(key, limits)
  // The store may still know it of earlier; then its first word is not understood, and the second tells everything.
  if (ledger.phase !== 'alone') {
    account.told = 0
    account.requests.untold = new Map()
    account.tokens.untold = new Map()
  }
  ledger.accounts.set(key, account)
  return account
}

/** How many gateways serve: the parts of a limit while the store is gone, or where there is none. */
export function setGateways(ledger: Ledger, gateways: number, now: number): void {
  if (gateways === ledger.gateways) return
  ledger.gateways = gateways
  ledger.standing = { gateways, since: sliceAt(now) }
}

/** The store is gone. What it may have heard in the end is told anew when it is back. */
export function standAlone(ledger: Ledger, now: number): void {
  if (ledger.phase === 'alone') return
  ledger.phase = 'alone'
  if (!ledger.wasAlone) ledger.standing = { gateways: ledger.gateways, since: sliceAt(now) }
  ledger.wasAlone = true
  ledger.toTell = null
  ledger.dirty.clear()
  ledger.open.clear()
  for (const account of ledger.accounts.values()) {
    dropBlocks(account)
    account.told = null
    for (const gauge of [account.requests, account.tokens]) {
      gauge.untold = null
      gauge.closed = null
      gauge.wanted = 0
      gauge.smallest = Infinity
    }
    account.places.wanted = account.places.closedUntil = 0
  }
}

/** The store was late, or the connection broke: for the moment only what is held is granted. It will be told everything. */
export function pause(ledger: Ledger): void {
  if (ledger.phase === 'alone') return
  ledger.phase = 'paused'
  ledger.toTell = null
  ledger.dirty.clear()
  for (const account of ledger.accounts.values()) account.told = null
}

/** The store answers. Until it knows what every account here has used, only what is set aside now is granted. */
export function beginJoin(ledger: Ledger, now: number): void {
  const setAside = ledger.phase === 'alone'
  ledger.phase = 'joining'
  ledger.toTell = null
  ledger.dirty.clear()
  for (const account of ledger.accounts.values()) {
    account.told = null
    if (!setAside || isForgettable(account, now)) continue
    const { requestsPerMinute, tokensPerMinute } = account.limits
    account.heldUntil = now + blockSpan
    for (const [gauge, limit] of [
      [account.requests, requestsPerMinute],
      [account.tokens, tokensPerMinute],
    ] as const)
      if (limit !== undefined)
        gauge.block = Math.max(
          0,
          Math.min(ahead(gauge, now), roomAlone(gauge, { limit, standing: ledger.standing }, now)),
        )
  }
}

/** What to say to the store now; `null`: nothing, it can't hear. With nothing to tell it is a sign of life. */
export function nextCall(ledger: Ledger, now: number): Call | null {
  const { phase, gateways, toTell } = ledger
  if (phase === 'alone' || phase === 'paused') return null
  if (phase === 'joining' && toTell === null) {
    ledger.toTell = [...ledger.accounts.values()].filter(account => !isForgettable(account, now))
    return { kind: 'hello', sentAt: now, gateways, words: [] }
  }
  if (phase === 'joining' && toTell !== null) {
    const accounts = toTell.splice(0, wordsPerCall)
    const kind = accounts.length === 0 ? 'join' : 'tell'
    return { kind, sentAt: now, gateways, words: accounts.map(account => say(ledger, account, { now, grant: false })) }
  }
  const waitedFor = [...ledger.dirty].filter(isWaitedFor)
  // Whoever waits is in the next command; the rest may come in another.
  const accounts =
    waitedFor.length >= wordsPerCall ? waitedFor : [...new Set([...waitedFor, ...ledger.dirty])].slice(0, wordsPerCall)
  return {
    kind: 'words',
    sentAt: now,
    gateways,
    words: accounts.map(account => say(ledger, account, { now, grant: true })),
  }
}

/** The last word: everything that is held goes back. */
export function leavingCall(ledger: Ledger, now: number): Call {
  const words = [...ledger.open].map(account => {
    dropBlocks(account)
    return say(ledger, account, { now, grant: false })
  })
  return { kind: 'leave', sentAt: now, gateways: ledger.gateways, words }
}

export function hearReply(ledger: Ledger, { call, reply }: { call: Call; reply: Reply }, now: number): void {
  if (ledger.phase === 'alone' || ledger.phase === 'paused') return
  if (reply.status === 'unknown') return beginJoin(ledger, now)
  if (reply.status === 'early') return pause(ledger)
  if (call.kind === 'join') {
    ledger.phase = 'shared'
    ledger.wasAlone = false
    for (const account of ledger.accounts.values()) if (isWaitedFor(account)) ledger.dirty.add(account)
  }
  for (const [at, word] of call.words.entries()) {
    const account = ledger.accounts.get(word.id)
    if (account === undefined) continue
    hearAnswer(account, { word, answer: reply.answers[at] ?? null, sentAt: call.sentAt }, now)
    if (account.told === null) ledger.dirty.add(account)
  }
}

/** Called a few times a second: what lies idle goes back, and what nobody would miss is forgotten. */
export function beat(ledger: Ledger, now: number): void {
  for (const account of ledger.open) {
    account.idle = !account.used
    account.used = false
    account.peak = Math.max(account.leases, Math.floor(account.peak / 2))
    if (ledger.phase === 'shared' && hasNews(account, now)) ledger.dirty.add(account)
    if (isForgettable(account, now)) ledger.open.delete(account)
  }
}

export function forgetIdle(ledger: Ledger, now: number): void {
  for (const [id, account] of ledger.accounts)
    if (!ledger.open.has(account) && !ledger.dirty.has(account) && isForgettable(account, now))
      ledger.accounts.delete(id)
}

function say(ledger: Ledger, account: Account, how: { now: number; grant: boolean }): Word {
  ledger.words += 1
  ledger.dirty.delete(account)
  ledger.open.add(account)
  return toWord(account, ledger.words, how)
}

const isWaitedFor = ({ requests, tokens, places }: Account): boolean =>
  requests.wanted + tokens.wanted + places.wanted > 0

function hasNews(account: Account, now: number): boolean {
  const { requests, tokens, places } = account
  return (
    !account.idle ||
    places.spare > 0 ||
    [requests, tokens].some(gauge => gauge.block > 0 || (gauge.untold?.size ?? 0) > 0) ||
    (account.leases > 0 && now - account.toldAt >= longestSilence)
  )
}
