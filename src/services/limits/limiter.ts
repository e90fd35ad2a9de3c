/**
 * The limiter: keeps a gateway's ledger of limits, and talks with the counts that gateways share, in the background, so
 * that a request asks nobody unless a limit is near.
 */
import { FaultError } from '../../domain/fault.ts'
import {
  allowancesOf,
  beat,
  beginJoin,
  cancel,
  forgetIdle,
  hearReply,
  leavingCall,
  nextCall,
  openLedger,
  pause,
  release,
  setGateways,
  settle,
  standAlone,
  take,
  type Call,
  type Hold,
  type Subject,
  type TokenNeed,
} from '../../domain/limits/index.ts'
import type { Surface } from '../../domain/dialect/index.ts'
import type { Tokens } from '../../domain/units.ts'
import { renderAllowances } from './headers.ts'
import type { SharedCounts } from './ports.ts'

export interface Limiter {
  /**
   * All subjects together or none. At once where nothing has to be asked; a promise only while the shared counts are,
   * which ends after half a second at the latest, and nearly always after a millisecond. Throws, or rejects with, FaultError `rate-limited`, or
   * `request-invalid` for a request that could never fit.
   */
  take(subjects: readonly Subject[], need: TokenNeed): LimitLease | Promise<LimitLease>
  /** As of now, of the tightest; for answers that no lease stands behind, such as refusals. */
  headers(subjects: readonly Subject[], surface: Surface): Record<string, string>
  mode(): LimiterMode
  /** How many gateways serve: while nothing is shared, each grants its part. */
  gateways(count: number): void
  /** Gives back what is held. */
  close(): Promise<void>
}

/** What one request has taken. Whatever is called twice, or after `release`, does nothing. */
export interface LimitLease {
  headers(surface: Surface): Record<string, string>
  /** What it has used, prompt and answer; `null`: nobody knows, so what was reserved counts. */
  settle(used: Tokens | null): void
  /** It never reached an engine: nothing of it counts. */
  cancel(): void
  /** Its place is free. After `settle` or `cancel`. */
  release(): void
}

/** `divided`: several gateways serve and nothing is shared, so each grants its part of every limit. */
export type LimiterMode = { mode: 'local' | 'shared' | 'divided'; why: string | null }

export type LimiterParts = {
  /** `null`: limits are counted here alone. */
  shared: SharedCounts | null
  /** Told at each change, for the log. */
  onMode: (mode: LimiterMode) => void
}

/** Refills wait this long for company; a request that waits does not. */
const gather = 20
const beatEvery = 200
const forgetEvery = 10_000
/** A request whose block went to others meanwhile asks again. */
const mostAsks = 8
/** Without an answer for this long after a failure, the gateway stands alone. */
const pauseFor = 100
/** For the other gateways, after the store forgot everything. */
const gatherFor = 300
const joinAgainAfter = 50
const reachAgain = { first: 50, most: 500 }

type Waiter = {
  subjects: readonly Subject[]
  need: TokenNeed
  resolve: (lease: LimitLease) => void
  reject: (error: FaultError) => void
  /** Its wish is in the command under way. */
  asked: boolean
  asks: number
}

export function openLimiter({ shared, onMode }: LimiterParts): Limiter {
  const ledger = openLedger()
  const now = (): number => performance.now()
  let waiters: Waiter[] = []
  let mode: LimiterMode = { mode: shared === null ? 'local' : 'divided', why: shared === null ? null : notReached }
  let talking = false
  let reaching = false
  let closed = false
  let soon: NodeJS.Timeout | null = null
  let again: NodeJS.Timeout | null = null
  let patience: { timer: NodeJS.Timeout; span: number } | null = null
  let backoff = reachAgain.first

  const beating = setInterval(() => {
    beat(ledger, now())
    if (ledger.phase !== 'alone') talk()
  }, beatEvery)
  const forgetting = setInterval(() => forgetIdle(ledger, now()), forgetEvery)
  beating.unref()
  forgetting.unref()
  if (shared !== null) void reach(shared)

  return {
    take(subjects, need) {
      const verdict = take(ledger, { subjects, need }, now())
      if (verdict.verdict === 'refused') throw new FaultError(verdict.fault)
      if (verdict.verdict === 'taken') {
        if (ledger.dirty.size > 0) talkSoon()
        return toLease(subjects, verdict.holds)
      }
      const { promise, resolve, reject } = Promise.withResolvers<LimitLease>()
      waiters.push({ subjects, need, resolve, reject, asked: false, asks: 1 })
      talk()
      return promise
    },

    headers: headersOf,
    mode: () => mode,

    gateways(count) {
      setGateways(ledger, Math.max(1, count), now())
      if (shared !== null) return
      if (ledger.gateways === 1) changeMode({ mode: 'local', why: null })
      else changeMode({ mode: 'divided', why: `${ledger.gateways} gateways serve and gateway.sharedLimits is local` })
    },

    async close() {
      closed = true
      clearInterval(beating)
      clearInterval(forgetting)
      clearTimeout(soon ?? undefined)
      clearTimeout(again ?? undefined)
      bePatient(null)
      // What is held comes back by itself in a moment if the store can't be told.
      if (shared !== null && ledger.phase === 'shared' && !talking)
        await shared.exchange(leavingCall(ledger, now())).catch(() => undefined)
      standAlone(ledger, now())
      serveWaiters()
      await shared?.close()
    },
  }

  function headersOf(subjects: readonly Subject[], surface: Surface): Record<string, string> {
    return renderAllowances(surface, allowancesOf(ledger, subjects, now()), Date.now())
  }

  function toLease(subjects: readonly Subject[], holds: readonly Hold[]): LimitLease {
    let settled = false
    return {
      headers: surface => headersOf(subjects, surface),
      settle(used) {
        if (settled) return
        settled = true
        if (used !== null) for (const hold of holds) settle(hold, used, now())
      },
      cancel() {
        if (settled) return
        settled = true
        for (const hold of holds) cancel(hold)
      },
      release() {
        for (const hold of holds) release(ledger, hold)
      },
    }
  }

  function talkSoon(): void {
    if (soon !== null || talking || closed) return
    soon = setTimeout(() => {
      soon = null
      talk()
    }, gather)
    soon.unref()
  }

  function talk(): void {
    if (talking || closed || shared === null) return
    talking = true
    // Requests of this turn of the loop ask together.
    queueMicrotask(() => void converse(shared))
  }

  /** One command after the other, as long as somebody waits for an answer. */
  async function converse(counts: SharedCounts): Promise<void> {
    for (let more = true; more && !closed;) {
      const call = nextCall(ledger, now())
      if (call === null) break
      for (const waiter of waiters) waiter.asked ||= call.kind === 'words'
      more = await exchange(counts, call)
      if (waiters.length === 0 && ledger.phase !== 'joining') more = false
    }
    talking = false
    if (ledger.dirty.size > 0) talkSoon()
  }

  async function exchange(counts: SharedCounts, call: Call): Promise<boolean> {
    try {
      const reply = await counts.exchange(call)
      if (closed) return false
      hearReply(ledger, { call, reply }, now())
      if (ledger.phase === 'shared') {
        bePatient(null)
        changeMode({ mode: 'shared', why: null })
      }
      if (reply.status === 'early') joinAgain()
      else serveWaiters()
      return true
    } catch (error) {
      hesitate(counts, error)
      return false
    }
  }

  function serveWaiters(): void {
    const all = waiters
    waiters = []
    for (const waiter of all) {
      if (ledger.phase !== 'alone' && !waiter.asked) waiters.push(waiter)
      else serve(waiter)
    }
  }

  function serve(waiter: Waiter): void {
    const { subjects, need } = waiter
    const verdict = take(ledger, { subjects, need, last: waiter.asks >= mostAsks }, now())
    if (verdict.verdict === 'taken') waiter.resolve(toLease(subjects, verdict.holds))
    else if (verdict.verdict === 'refused') waiter.reject(new FaultError(verdict.fault))
    else waiters.push({ ...waiter, asked: false, asks: waiter.asks + 1 })
  }

  /** The others are a fifth of a second away, if they are there: most requests can wait for that. */
  function joinAgain(): void {
    const waits = new Error('the shared counts wait for the other gateways to tell what they have used')
    bePatient({ span: gatherFor, error: waits })
    later(joinAgainAfter, () => {
      if (reaching) return
      beginJoin(ledger, now())
      talk()
    })
  }

  /** One late answer is not the end: often the next try succeeds within milliseconds. */
  function hesitate(counts: SharedCounts, error: unknown): void {
    if (closed) return
    pause(ledger)
    clearTimeout(again ?? undefined)
    const all = waiters
    waiters = []
    // What was wanted with the lost command is wanted again.
    for (const waiter of all) {
      if (waiter.asked) serve({ ...waiter, asks: waiter.asks - 1 })
      else waiters.push(waiter)
    }
    bePatient({ span: pauseFor, error })
    void reach(counts)
  }

  /** Only what is held is granted, for so long; then the gateway stands alone. `null`: no need any more. */
  function bePatient(wait: { span: number; error: unknown } | null): void {
    if (wait !== null && patience !== null && wait.span <= patience.span) return
    clearTimeout(patience?.timer)
    patience = null
    if (wait === null) return
    const { span, error } = wait
    const timer = setTimeout(() => {
      // A process that was held up itself looks first at what has come meanwhile.
      setImmediate(() => {
        if (patience?.timer === timer) lose(error)
      })
    }, span)
    timer.unref()
    patience = { timer, span }
  }

  function lose(error: unknown): void {
    bePatient(null)
    if (closed) return
    standAlone(ledger, now())
    changeMode({ mode: 'divided', why: error instanceof Error ? error.message : String(error) })
    serveWaiters()
  }

  async function reach(counts: SharedCounts): Promise<void> {
    if (reaching || closed) return
    reaching = true
    try {
      await counts.reach()
      reaching = false
      if (closed) return
      backoff = reachAgain.first
      beginJoin(ledger, now())
      talk()
    } catch (error) {
      reaching = false
      lose(error)
      later(backoff, () => void reach(counts))
      backoff = Math.min(backoff * 2, reachAgain.most)
    }
  }

  /** There is one thing to try next, never two. */
  function later(span: number, attempt: () => void): void {
    clearTimeout(again ?? undefined)
    if (closed) return
    again = setTimeout(attempt, span)
    again.unref()
  }

  function changeMode(next: LimiterMode): void {
    // Said once, though each try may fail in words of its own.
    const same = next.mode === mode.mode && (next.mode !== 'divided' || mode.why !== notReached)
    mode = next
    if (!same) onMode(next)
  }
}

const notReached = 'the shared counts have not answered yet'
