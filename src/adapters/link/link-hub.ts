/** Who is on the link, how far each gateway is, and who has acknowledged what. Knows nothing of HTTP. */
import { createHash } from 'node:crypto'
import type { AccessPublisher, AccessStore, InForce, NumberedChange } from '../../domain/access/index.ts'
import type {
  Acknowledgement,
  AgentFrame,
  EngineAssignment,
  GatewayFrame,
  Snapshot,
} from '../../domain/serving/index.ts'

/** Where frames go. Closing twice is fine. */
export interface Sink {
  /** Resolves once more may be written, or the peer is gone; never rejects. */
  write(frame: GatewayFrame | AgentFrame): Promise<void>
  close(): void
}

/** What a gateway says it has when it dials in. */
export type Held = { epoch: string | null; seq: number; snapshot: string | null }
export type GatewayState = { gateway: string; connected: boolean; seq: number; snapshot: string | null }

export interface LinkHub extends AccessPublisher {
  /** Answers what to call when the connection is gone. A newer connection of the same gateway replaces the older. */
  addGateway(gateway: string, held: Held, sink: Sink): () => void
  addAgent(sink: Sink): () => void
  acknowledge(acknowledgement: Acknowledgement): void
  publishSnapshot(snapshot: Snapshot): void
  publishEngines(engines: EngineAssignment[]): void
  /** Resolves once every connected gateway has `seq` in force, or when the time is up. */
  waitAcknowledged(seq: number, withinMs: number): Promise<InForce>
  /** Connected gateways, and those lost within the last ten minutes. */
  gateways(): GatewayState[]
  /** Every second: keeps links alive and lets go of peers that stopped reading. */
  beat(): void
  close(): void
}

type Session = {
  sink: Sink
  /** The last change sent; `null`: send the image. */
  seq: number | null
  /** The snapshot sent last. */
  snapshot: string | null
  wanted: boolean
  pumping: boolean
  beating: boolean
  /** Beats passed since the pending write began. */
  stuck: number
}
type Known = { seq: number; snapshot: string | null; session: Session | null; lostAt: number }
type Agent = { sink: Sink; stuck: number; writing: boolean }

const publishWithinMs = 1000
const lostKeptMs = 600_000
const stuckBeats = 10

export async function openLinkHub({
  store,
  adminHash,
  snapshot: first,
  engines: firstEngines,
  now,
  onError,
}: {
  store: Pick<AccessStore, 'epoch' | 'image' | 'changesSince'>
  adminHash: string
  snapshot: Snapshot
  engines: EngineAssignment[]
  /** Milliseconds, steadily growing. */
  now: () => number
  onError: (error: unknown) => void
}): Promise<LinkHub> {
  // The image carries the admin key's hash, which changes without a numbered change: another admin key, another epoch.
  const epoch = createHash('sha256')
    .update(`${await store.epoch()} ${adminHash}`)
    .digest('hex')
    .slice(0, 16)
  const known = new Map<string, Known>()
  const agents = new Set<Agent>()
  const waiting = new Set<() => void>()
  let snapshot = first
  let engines = firstEngines
  let published = (await store.image()).seq

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

  function inForce(seq: number): InForce {
    const answer: InForce = { acknowledged: [], waitingFor: [] }
    for (const gateway of gateways())
      (gateway.seq >= seq ? answer.acknowledged : answer.waitingFor).push(gateway.gateway)
    return answer
  }

  function gateways(): GatewayState[] {
    for (const [gateway, state] of known) {
      if (state.session === null && now() - state.lostAt > lostKeptMs) known.delete(gateway)
    }
    return [...known].map(([gateway, { seq, snapshot, session }]) => ({
      gateway,
      connected: session !== null,
      seq,
      snapshot,
    }))
  }

  function waitAcknowledged(seq: number, withinMs: number): Promise<InForce> {
    const isDone = () => gateways().every(gateway => !gateway.connected || gateway.seq >= seq)
    if (isDone()) return Promise.resolve(inForce(seq))
    return new Promise(resolve => {
      const finish = () => {
        clearTimeout(timer)
        waiting.delete(check)
        resolve(inForce(seq))
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
    addGateway(gateway, held, sink) {
      const isSameEpoch = held.epoch === epoch
      known.get(gateway)?.session?.sink.close()
      const session: Session = {
        sink,
        seq: isSameEpoch ? held.seq : null,
        snapshot: held.snapshot,
        wanted: false,
        pumping: false,
        beating: false,
        stuck: 0,
      }
      // What it says it has, it has on its disk and serves from: as good as an acknowledgement.
      known.set(gateway, { seq: isSameEpoch ? held.seq : -1, snapshot: held.snapshot, session, lostAt: 0 })
      checkWaiting()
      void pump(session)
      return () => {
        const state = known.get(gateway)
        if (state?.session !== session) return
        state.session = null
        state.lostAt = now()
        checkWaiting()
      }
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
      return waitAcknowledged(changes.at(-1)?.seq ?? published, publishWithinMs)
    },
    publishSnapshot(next) {
      snapshot = next
      wakeAll()
    },
    publishEngines(next) {
      engines = next
      for (const agent of agents) tellAgent(agent, { type: 'engines', engines })
    },
    waitAcknowledged,
    gateways,
    beat() {
      for (const session of sessions()) {
        if (!session.pumping && !session.beating) tellBeat(session)
        else if (++session.stuck > stuckBeats) session.sink.close()
      }
      for (const agent of agents) {
        if (!agent.writing) tellAgent(agent, { type: 'beat' })
        else if (++agent.stuck > stuckBeats) agent.sink.close()
      }
    },
    close() {
      for (const session of sessions()) session.sink.close()
      for (const agent of agents) agent.sink.close()
    },
  }
}

function isWithoutHoles(changes: readonly NumberedChange[], after: number): boolean {
  return changes.every((change, at) => change.seq === after + 1 + at)
}
