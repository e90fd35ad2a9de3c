/** Who is on the link, how far each gateway is, and who has acknowledged what. Knows nothing of HTTP. */
import { createHash } from 'node:crypto'
import type { AccessPublisher, AccessStore, InForce, NumberedChange } from '../../domain/access/index.ts'
import type {
  Acknowledgement,
  AgentFrame,
  EngineAssignment,
  GatewayFrame,
  GatewayReport,
  Presence,
  Snapshot,
  Spend,
} from '../../domain/serving/index.ts'

/** Where frames go. Closing twice is fine. */
export interface Sink {
  /** Resolves once more may be written, or the peer is gone; never rejects. */
  write(frame: GatewayFrame | AgentFrame): Promise<void>
  close(): void
}

/** What a gateway says it has when it dials in. */
export type Held = {
  epoch: string | null
  seq: number
  snapshot: string | null
  /** Which of its processes it is, by the epoch of its journal: while one drains, the next may serve already. */
  run?: string | null
}
/** One known from before this controller's start. `sinceMs`: how long ago it was last seen. */
export type Remembered = { gateway: string; joined: boolean; from: string | null; presence: Presence; sinceMs: number }
/** Where a gateway dials in from. `joined`: it came with a token, and is known until it is removed. */
export type Origin = { joined: boolean; from: string | null }
export type GatewayState = {
  gateway: string
  connected: boolean
  seq: number
  snapshot: string | null
  presence: Presence
  joined: boolean
  from: string | null
  /** What it said last; `null`: nothing. */
  report: GatewayReport | null
}

export interface LinkHub extends AccessPublisher {
  /** Answers what to call when the connection is gone. A newer connection of the same gateway replaces the older. */
  addGateway(gateway: string, from: { held: Held; origin: Origin }, sink: Sink): () => void
  /**
   * It stops, and serves nothing any more; nothing is done when another run of it has come meanwhile. One that has not
   * dialled in since this controller's start can leave, too: a run that is followed by another says nothing.
   */
  leave(gateway: string, run: string | null): void
  /** It was removed: its connection ends, and nobody waits for it. */
  forget(gateway: string): void
  report(gateway: string, report: GatewayReport): void
  addAgent(sink: Sink): () => void
  acknowledge(acknowledgement: Acknowledgement): void
  /** Resolves once every gateway that is here serves from it, or when the time is up. */
  publishSnapshot(snapshot: Snapshot, withinMs?: number): Promise<InForce>
  publishEngines(engines: EngineAssignment[]): void
  /** From now on each gateway is told what is new to it, once. */
  publishSpend(book: SpendBook): void
  /** Resolves once every gateway that is here has `seq` in force, or when the time is up. */
  waitAcknowledged(seq: number, withinMs: number): Promise<InForce>
  /** Connected ones, those lost within the last ten minutes, and all that joined. */
  gateways(): GatewayState[]
  /** Every second: keeps links alive and lets go of peers that stopped reading. */
  beat(): void
  close(): void
}

/** What was spent of budgets, each change numbered from 1 on; `since` tells what changed after `n`, for one run of a gateway. */
export type SpendBook = { readonly n: number; since(n: number, run: string | null): Spend[] }

type Session = {
  sink: Sink
  /** The last change sent; `null`: send the image. */
  seq: number | null
  /** The snapshot sent last. */
  snapshot: string | null
  /** The number of gateways that was told last. */
  peers: number | null
  run: string | null
  /** The last change of spending that was told. */
  spend: number
  wanted: boolean
  pumping: boolean
  beating: boolean
  /** Beats passed since the pending write began. */
  stuck: number
}
type Known = Origin & {
  seq: number
  snapshot: string | null
  session: Session | null
  lostAt: number
  left: boolean
  run: string | null
  report: GatewayReport | null
}
type Agent = { sink: Sink; stuck: number; writing: boolean }

const publishWithinMs = 1000
const lostKeptMs = 600_000
/** A gateway that comes back within this time has not been away: the others' shares stay, and what changes waits for it. */
const hereKeptMs = 10_000
const stuckBeats = 10

export async function openLinkHub({
  store,
  adminHash,
  snapshot: first,
  engines: firstEngines,
  remembered = [],
  onPresence = () => {},
  now,
  onError,
}: {
  store: Pick<AccessStore, 'epoch' | 'image' | 'changesSince'>
  adminHash: string
  snapshot: Snapshot
  engines: EngineAssignment[]
  remembered?: Remembered[]
  /** Told of each that comes and goes. */
  onPresence?: (gateway: string, presence: Presence, origin: Origin) => void
  /** Milliseconds, steadily growing. */
  now: () => number
  onError: (error: unknown) => void
}): Promise<LinkHub> {
  // The image carries the admin key's hash, which changes without a numbered change: another admin key, another epoch.
  const epoch = createHash('sha256')
    .update(`${await store.epoch()} ${adminHash}`)
    .digest('hex')
    .slice(0, 16)
  const known = new Map<string, Known>(remembered.map(each => [each.gateway, toKnown(each, now())]))
  const agents = new Set<Agent>()
  const waiting = new Set<() => void>()
  let snapshot = first
  let engines = firstEngines
  let book: SpendBook = { n: 0, since: () => [] }
  let published = (await store.image()).seq
  let closed = false

  /** Sends what a session lacks, in order, one write at a time. What came meanwhile is seen on the next turn. */
  async function pump(session: Session): Promise<void> {
    session.wanted = true
    if (session.pumping) return
    session.pumping = true
    try {
      while (session.wanted) {
        session.wanted = false
        if (session.snapshot !== snapshot.id) {
          session.snapshot = snapshot.id
          await session.sink.write({ type: 'snapshot', snapshot })
        }
        const frame = await nextAccess(session)
        if (frame !== null) await session.sink.write(frame)
        const gateways = peers()
        if (session.peers !== gateways) {
          session.peers = gateways
          await session.sink.write({ type: 'peers', gateways })
        }
        const spend = book.since(session.spend, session.run)
        session.spend = book.n
        if (spend.length > 0) await session.sink.write({ type: 'spend', spend })
        session.stuck = 0
      }
    } catch (error) {
      // The gateway dials in again and says what it has: nothing is skipped.
      onError(error)
      session.sink.close()
    } finally {
      session.pumping = false
    }
  }

  /** Reads from the store rather than from what was published, so that no commit can be missed or overtaken. */
  async function nextAccess(session: Session): Promise<GatewayFrame | null> {
    const changes = session.seq === null ? null : await store.changesSince(session.seq)
    if (changes !== null && session.seq !== null && isWithoutHoles(changes, session.seq)) {
      const last = changes.at(-1)
      if (last === undefined) return null
      session.seq = last.seq
      return { type: 'changes', epoch, changes }
    }
    const image = await store.image()
    session.seq = image.seq
    return { type: 'access', image: { ...image, epoch, adminHash } }
  }

  const sessions = () => [...known.values()].flatMap(({ session }) => session ?? [])
  const wakeAll = () => {
    for (const session of sessions()) void pump(session)
  }

  /** Connected, or cut off for no longer than this. One that stopped serves nothing. */
  function isHeardFrom({ session, left, lostAt }: Known, withinMs: number): boolean {
    return session !== null || (!left && now() - lostAt <= withinMs)
  }

  /** A connection lost a moment ago comes back, or its gateway is gone. */
  const isHere = (state: Known): boolean => isHeardFrom(state, hereKeptMs)

  /** Those that serve. */
  function peers(): number {
    return Math.max(1, [...known.values()].filter(isHere).length)
  }

  /** One that was cut off for longer than `maxStale` refuses by itself. */
  const mayServe = (state: Known): boolean => isHeardFrom(state, Math.max(lostKeptMs, snapshot.maxStale))

  function inForce(has: Has): InForce {
    forgetLost()
    const answer: InForce = { acknowledged: [], waitingFor: [] }
    for (const [gateway, state] of known)
      if (mayServe(state)) (has(state) ? answer.acknowledged : answer.waitingFor).push(gateway)
    return answer
  }

  /** The ones that joined stay: only an administrator removes them. */
  function forgetLost(): void {
    for (const [gateway, { session, joined, lostAt }] of known)
      if (session === null && !joined && now() - lostAt > lostKeptMs) known.delete(gateway)
  }

  function gateways(): GatewayState[] {
    forgetLost()
    return [...known].map(([gateway, { seq, snapshot, session, left, joined, from, report }]) => ({
      gateway,
      connected: session !== null,
      seq,
      snapshot,
      presence: presenceOf({ session, left }),
      joined,
      from,
      report,
    }))
  }

  /** Everybody's share changes with the number of gateways. */
  function came(gateway: string, state: Known): void {
    if (!closed) onPresence(gateway, presenceOf(state), { joined: state.joined, from: state.from })
    checkWaiting()
    wakeAll()
  }

  function waitAcknowledged(has: Has, withinMs: number): Promise<InForce> {
    // After a controller's start no gateway has dialled in yet, and all of them serve.
    const isDone = () => [...known.values()].every(state => !isHere(state) || has(state))
    if (isDone()) return Promise.resolve(inForce(has))
    return new Promise(resolve => {
      const finish = () => {
        clearTimeout(timer)
        waiting.delete(check)
        resolve(inForce(has))
      }
      const check = () => {
        if (isDone()) finish()
      }
      const timer = setTimeout(finish, withinMs)
      waiting.add(check)
    })
  }

  const checkWaiting = () => {
    for (const check of [...waiting]) check()
  }

  function tellBeat(session: Session): void {
    session.beating = true
    void session.sink.write({ type: 'beat' }).then(() => {
      session.beating = false
      session.stuck = 0
    })
  }

  function tellAgent(agent: Agent, frame: AgentFrame): void {
    agent.writing = true
    void agent.sink.write(frame).then(() => {
      agent.writing = false
      agent.stuck = 0
    })
  }

  return {
    addGateway(gateway, { held, origin }, sink) {
      const isSameEpoch = held.epoch === epoch
      const before = known.get(gateway)
      before?.session?.sink.close()
      const session: Session = {
        sink,
        seq: isSameEpoch ? held.seq : null,
        snapshot: held.snapshot,
        peers: null,
        run: held.run ?? null,
        spend: 0,
        wanted: false,
        pumping: false,
        beating: false,
        stuck: 0,
      }
      // What it says it has, it has on its disk and serves from: as good as an acknowledgement.
      const state: Known = {
        ...origin,
        seq: isSameEpoch ? held.seq : -1,
        snapshot: held.snapshot,
        session,
        lostAt: 0,
        left: false,
        run: held.run ?? null,
        report: before?.report ?? null,
      }
      known.set(gateway, state)
      came(gateway, state)
      return () => {
        if (state.session !== session || known.get(gateway) !== state) return
        state.session = null
        state.lostAt = now()
        came(gateway, state)
      }
    },
    leave(gateway, run) {
      const state = known.get(gateway)
      if (state === undefined) return
      const { session } = state
      const isUnheard = session === null && state.run === null
      if (state.run !== run && !isUnheard) return
      Object.assign(state, { left: true, session: null, lostAt: now() })
      session?.sink.close()
      came(gateway, state)
    },
    forget(gateway) {
      const session = known.get(gateway)?.session
      known.delete(gateway)
      session?.sink.close()
      checkWaiting()
      wakeAll()
    },
    report(gateway, report) {
      const state = known.get(gateway)
      if (state !== undefined) state.report = report
    },
    addAgent(sink) {
      const agent = { sink, stuck: 0, writing: false }
      agents.add(agent)
      tellAgent(agent, { type: 'engines', engines })
      return () => agents.delete(agent)
    },
    acknowledge({ gateway, epoch: theirs, seq, snapshot }) {
      const state = known.get(gateway)
      if (state === undefined) return
      if (theirs === epoch) state.seq = seq
      state.snapshot = snapshot
      checkWaiting()
    },
    publish(changes: readonly NumberedChange[]) {
      published = Math.max(published, changes.at(-1)?.seq ?? 0)
      wakeAll()
      return waitAcknowledged(hasChange(changes.at(-1)?.seq ?? published), publishWithinMs)
    },
    publishSnapshot(next, withinMs = publishWithinMs) {
      snapshot = next
      wakeAll()
      return waitAcknowledged(state => state.snapshot === next.id, withinMs)
    },
    publishEngines(next) {
      engines = next
      for (const agent of agents) tellAgent(agent, { type: 'engines', engines })
    },
    publishSpend(next) {
      book = next
      wakeAll()
    },
    waitAcknowledged: (seq, withinMs) => waitAcknowledged(hasChange(seq), withinMs),
    gateways,
    beat() {
      const gateways = peers()
      for (const session of sessions()) {
        if (session.peers !== gateways) void pump(session)
        if (!session.pumping && !session.beating) tellBeat(session)
        else if (++session.stuck > stuckBeats) session.sink.close()
      }
      for (const agent of agents) {
        if (!agent.writing) tellAgent(agent, { type: 'beat' })
        else if (++agent.stuck > stuckBeats) agent.sink.close()
      }
    },
    close() {
      // It is this controller that goes, not they.
      closed = true
      for (const session of sessions()) session.sink.close()
      for (const agent of agents) agent.sink.close()
    },
  }
}

function toKnown({ joined, from, presence, sinceMs }: Remembered, now: number): Known {
  // One that was connected when the controller ended may have been cut off at any time since.
  const lostAt = presence === 'connected' ? now : now - sinceMs
  return {
    joined,
    from,
    seq: -1,
    snapshot: null,
    session: null,
    lostAt,
    left: presence === 'left',
    run: null,
    report: null,
  }
}

/** Whether a gateway has what is waited for. */
type Has = (state: Pick<GatewayState, 'seq' | 'snapshot'>) => boolean

const hasChange =
  (seq: number): Has =>
  state =>
    state.seq >= seq

function presenceOf({ session, left }: Pick<Known, 'session' | 'left'>): Presence {
  if (session !== null) return 'connected'
  return left ? 'left' : 'lost'
}

function isWithoutHoles(changes: readonly NumberedChange[], after: number): boolean {
  return changes.every((change, at) => change.seq === after + 1 + at)
}
