/**
 * Shadow: copies of requests, answered by the candidate once their own answers are out. Clients never see them, pay for them or
 * wait for them; they are the first to go when there is much to do. docs/design/0023-shadow-and-canary.md.
 */
import { FaultError, toHttp, type Fault } from '../../domain/fault.ts'
import { placeOf } from '../../domain/release/index.ts'
import {
  mayCopy,
  type ModelRoute,
  type PairTexts,
  type ReleaseRoute,
  type ShadowPair,
  type ShadowRoute,
  type VersionRoute,
} from '../../domain/serving/index.ts'
import { instant, millis, type ModelName, type ReleaseId } from '../../domain/units.ts'
import { ClientGone, type Exchange, type Reply, type Serve } from './exchange.ts'
import type { Fleet } from './fleet.ts'
import type { Admission, Place } from './queue.ts'
import { openTee, type Tee } from './tee.ts'

/**
 * What became of a copy. `compared` and `candidate-failed` went to the controller; `busy` enough copies run; `shed` engines or
 * memory had no room for it; `too-long` more than is compared; `lost` the controller did not take it.
 */
export type ShadowOutcome = 'compared' | 'candidate-failed' | 'busy' | 'shed' | 'too-long' | 'lost'

/** A pair on its way to the controller, not sealed yet. `texts` null: the candidate failed. */
export type CopiedPair = {
  model: ModelName
  release: ReleaseId
  sealFor: string
  pair: Omit<ShadowPair, 'sealed'>
  texts: PairTexts | null
}

export type ShadowParts = {
  fleet: Pick<Fleet, 'model' | 'version'>
  admission: Pick<Admission, 'enter' | 'counts'>
  /** Memory is short. */
  mustShed: () => boolean
  onPair: (pair: CopiedPair) => void
  count: (model: ModelName, outcome: ShadowOutcome) => void
  report: (error: unknown, exchange: Exchange) => void
}

export type Shadow = {
  /** Copies the request once its answer is out, if it is one of those. `ask`: how an engine is asked. */
  watch(exchange: Exchange, inForce: { release: ReleaseRoute; shadow: ShadowRoute; ask: Serve }): void
  /** Ends the copies that run, and begins no more. */
  close(): void
}

/** Of each text: what is longer is compared by nobody. */
const mostCharacters = 64 * 1024
const mostPromptBytes = 4 * mostCharacters
/** Of a candidate's answer, with all that is around its text. */
const mostAnswerBytes = 256 * 1024
/** How often copies that run make way for those who wait. */
const lookEveryMs = 250

type Copying = {
  exchange: Exchange
  live: ModelRoute['live']
  candidate: VersionRoute['name']
  stopped: ShadowOutcome | null
}

export function openShadow({ fleet, admission, mustShed, onPair, count, report }: ShadowParts): Shadow {
  const running = new Set<Copying>()
  let closed = false
  let looking: NodeJS.Timeout | null = null

  return {
    watch(exchange, { release, shadow, ask }) {
      const { model, ask: asked, head } = exchange
      if (model === null || asked === null || !isChosen(exchange, release, shadow)) return
      // Before it is looked at: that would cost the longest the most.
      if ((head.declaredBytes ?? 0) > mostPromptBytes) return count(model.name, 'too-long')
      if (!mayCopy(asked)) return
      const tee = exchange.tee ?? openTee(mostCharacters)
      const { onEnded } = exchange
      exchange.tee = tee
      // Named first, as in `relay.ts`: written straight into the property, it would be made old with all of the request.
      const copyWhenEnded: Exchange['onEnded'] = outcome => {
        onEnded?.(outcome)
        if (outcome !== 'ok') return
        copy(exchange, { release, shadow, ask, tee }).catch((error: unknown) => report(error, exchange))
      }
      exchange.onEnded = copyWhenEnded
    },
    close() {
      closed = true
      for (const each of running) stop(each, 'shed')
    },
  }

  async function copy(
    exchange: Exchange,
    { release, shadow, ask, tee }: { release: ReleaseRoute; shadow: ShadowRoute; ask: Serve; tee: Tee },
  ): Promise<void> {
    const { model, ask: asked, version: answered, mark } = exchange
    if (model === null || asked === null || closed) return
    // Another one stood in for it, or the release has gone on meanwhile.
    if (answered?.name !== mark?.version || fleet.model(model.name)?.release?.shadow?.sealFor !== shadow.sealFor) return
    const live = tee.text()
    const { messages } = asked.body
    if (live === null || JSON.stringify(messages).length > mostCharacters) return count(model.name, 'too-long')
    if (running.size >= shadow.parallel) return count(model.name, 'busy')
    const version = fleet.version(release.candidate)
    const place = version === null ? null : takePlace(model, version)
    if (version === null || place === null) return count(model.name, 'shed')

    const text = openTee(mostCharacters)
    const copying: Copying = {
      exchange: copyOf(exchange, { version, tee: text, onTooLong: () => stop(copying, 'too-long') }),
      live: model.live,
      candidate: version.name,
      stopped: null,
    }
    const fault = await run(copying, { ask, place })
    if (copying.stopped !== null) return count(model.name, copying.stopped)
    const candidate = fault === null ? text.text() : null
    if (fault === null && candidate === null) return count(model.name, 'too-long')
    const { firstByteMs, startedMs } = copying.exchange
    onPair({
      model: model.name,
      release: release.id,
      sealFor: shadow.sealFor,
      pair: {
        id: exchange.id,
        at: instant(exchange.arrivedAt),
        lengths: { live: live.length, candidate: candidate?.length ?? null },
        candidate: {
          ok: fault === null,
          status: fault === null ? 200 : toHttp(fault).status,
          fault: fault?.kind ?? null,
          firstTokenMs: asked.stream ? firstByteMs : null,
          totalMs: performance.now() - startedMs,
        },
      },
      texts: candidate === null ? null : { messages, live, candidate },
    })
  }

  /** `null`: it answered, or was stopped. */
  async function run(copying: Copying, { ask, place }: { ask: Serve; place: Place }): Promise<Fault | null> {
    running.add(copying)
    looking ??= setInterval(look, lookEveryMs).unref()
    try {
      await ask(copying.exchange)
      return null
    } catch (error) {
      if (copying.stopped !== null) return null
      if (error instanceof FaultError) return error.fault
      throw error
    } finally {
      place.release()
      running.delete(copying)
      if (running.size === 0 && looking !== null) {
        clearInterval(looking)
        looking = null
      }
    }
  }

  /** At once or not at all: a copy waits for nobody, and nobody for it. */
  function takePlace(model: ModelRoute, version: VersionRoute): Place | null {
    if (mustShed() || isWanted(model.live, version.name)) return null
    try {
      const entered = admission.enter({
        version: version.name,
        model: model.name,
        queue: { waiting: 0, deadline: millis(1) },
        owner: 'shadow',
        priority: 'low',
      })
      if (entered === 'none') return null
      if ('release' in entered) return entered
      entered.promise.catch(() => {})
      entered.cancel(new ClientGone())
      return null
    } catch (error) {
      if (error instanceof FaultError) return null
      throw error
    }
  }

  /** Somebody waits for an engine of either version: they may share a GPU. */
  function isWanted(...versions: readonly VersionRoute['name'][]): boolean {
    return admission.counts().some(({ version, waiting }) => waiting > 0 && versions.includes(version))
  }

  function look(): void {
    const isShort = mustShed()
    for (const each of running) if (isShort || isWanted(each.live, each.candidate)) stop(each, 'shed')
  }
}

function isChosen({ id, principal }: Exchange, { salt }: ReleaseRoute, { share, without }: ShadowRoute): boolean {
  // Judges ask as administrators do; a copy of a judgement would be judged again.
  if (principal === null || principal.kind === 'admin') return false
  if (principal.team !== null && without.includes(principal.team)) return false
  return placeOf(`shadow of ${salt}`, id) < share
}

function stop(copying: Copying, why: ShadowOutcome): void {
  copying.stopped ??= why
  copying.exchange.gone = true
  copying.exchange.interrupt?.(new ClientGone())
}

/** The same request in OpenAI's own words, with nobody at its other end. The journal hears nothing of it. */
function copyOf(
  exchange: Exchange,
  { version, tee, onTooLong }: { version: VersionRoute; tee: Tee; onTooLong: () => void },
): Exchange {
  return {
    ...exchange,
    reply: noReply(onTooLong),
    startedMs: performance.now(),
    gone: false,
    interrupt: null,
    priority: 'low',
    form: null,
    translator: null,
    stream: null,
    answering: exchange.model,
    version,
    mark: null,
    replica: null,
    attempts: 0,
    opened: true,
    choice: null,
    waitedMs: null,
    gpuMs: null,
    limitHeaders: {},
    firstByteMs: null,
    inputTokens: null,
    outputTokens: null,
    estimatedTokens: null,
    pieces: 0,
    lastHead: null,
    lastBytes: null,
    tee,
    onEnded: null,
  }
}

function noReply(onTooLong: () => void): Reply {
  let headSent = false
  let sentBytes = 0
  return {
    get headSent() {
      return headSent
    },
    get sentBytes() {
      return sentBytes
    },
    head() {
      headSent = true
    },
    flush() {},
    write(bytes) {
      sentBytes += bytes.length
      if (sentBytes > mostAnswerBytes) onTooLong()
      return true
    },
    end() {},
    cut() {},
    onDrain() {},
  }
}
