import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import Fastify from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { afterEach, expect, test } from 'vitest'
import type { AccessChange } from '../../domain/access/index.ts'
import { fakeAccessStore } from '../../domain/access/fake.ts'
import type { AgentFrame, EngineAssignment, GatewayFrame, Snapshot } from '../../domain/serving/index.ts'
import { openEdge } from '../../domain/serving/index.ts'
import { bytes, instant, millis, replicaId, teamName, versionName } from '../../domain/units.ts'
import { openLinkHub } from './link-hub.ts'
import type { LinkHub } from './link-hub.ts'
import { linkRoutes } from './link-server.ts'

const aSnapshot = (id: string): Snapshot => ({
  id,
  service: 'lab',
  models: [],
  flags: [],
  versions: [],
  maxStale: millis(1),
  health: { stall: millis(1), canary: null },
  jwt: [],
  edge: openEdge,
  sharedLimits: 'local',
  whenUnwritable: 'serve',
  limits: { body: bytes(1), inFlight: 1, firstByte: millis(1), idle: millis(1), request: millis(1) },
})
const anEngine: EngineAssignment = {
  replica: replicaId('smoke-a'),
  version: versionName('dev-v1.0-smoke-2m-q8-0-p0'),
  digest: 'd',
  socket: '/tmp/s',
  gguf: '/tmp/g',
  source: null,
  context: null,
  sequences: 1,
  threads: null,
}
const aTeam = (name: string): AccessChange => ({
  put: 'team',
  team: { name: teamName(name), models: null, metadata: {}, createdAt: instant(0), source: 'api' },
})

const toClose: (() => unknown)[] = []
afterEach(async () => {
  for (const close of toClose.splice(0).toReversed()) await close()
})

type Frame = GatewayFrame | AgentFrame
const origin = { joined: false, from: null }

/** A connection to the link: `next` answers the frames in order, but not beats and peers; `null` once the link is gone. */
async function dial(socketPath: string, path: string) {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const call = request({ socketPath, path }, resolve).once('error', reject)
    call.end()
    toClose.push(() => call.destroy())
  })
  answer.on('error', () => undefined)
  const lines = createInterface({ input: answer })[Symbol.asyncIterator]()
  const every = async (): Promise<Frame | null> => {
    const line = await lines.next().catch(() => ({ done: true as const, value: undefined }))
    // The test trusts what it checks next: frames written by the code under test.
    return line.done ? null : (JSON.parse(line.value) as Frame)
  }
  const next = async (): Promise<Frame | null> => {
    for (;;) {
      const frame = await every()
      if (frame?.type !== 'beat' && frame?.type !== 'peers') return frame
    }
  }
  return { next, every, hangUp: () => answer.destroy() }
}

async function open({ kept = 1000 } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-link-'))
  toClose.push(() => rm(folder, { recursive: true }))
  const socketPath = join(folder, 'c.sock')
  const store = fakeAccessStore({ kept })
  const clock = { now: 0 }
  const errors: unknown[] = []
  const hub: LinkHub = await openLinkHub({
    store,
    adminHash: 'aa',
    snapshot: aSnapshot('s1'),
    engines: [anEngine],
    now: () => clock.now,
    onError: error => errors.push(error),
  })
  const app = Fastify()
  app.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler)
  await app.register(linkRoutes(hub))
  await app.listen({ path: socketPath })
  toClose.push(() => app.close())
  const gateway = (query: string) => dial(socketPath, `/link/v1/gateway?${query}`)
  const agent = () => dial(socketPath, '/link/v1/agent')
  const acknowledge = (body: object) =>
    new Promise<number>((resolve, reject) => {
      const text = JSON.stringify(body)
      request(
        {
          socketPath,
          path: '/link/v1/acknowledge',
          method: 'POST',
          headers: { 'content-type': 'application/json', 'content-length': text.length },
        },
        answer => {
          answer.resume()
          resolve(answer.statusCode ?? 0)
        },
      )
        .once('error', reject)
        .end(text)
    })
  const commit = async (...names: string[]) => hub.publish(await store.commit(names.map(aTeam)))
  return { hub, store, gateway, agent, acknowledge, commit, clock, app, socketPath, errors }
}

/** Dials as a gateway that has nothing, and answers the epoch it was given. */
async function join1({ gateway }: Awaited<ReturnType<typeof open>>, name = 'gw') {
  const link = await gateway(`gateway=${name}`)
  expect(await link.next()).toMatchObject({ type: 'snapshot', snapshot: { id: 's1' } })
  const image = await link.next()
  if (image?.type !== 'access') throw new Error('expected an image')
  return { ...link, epoch: image.image.epoch, seq: image.image.seq, image: image.image }
}

test('a gateway that has nothing gets the snapshot, then everything about access', async () => {
  const link = await open()
  await link.store.commit([aTeam('a')])
  expect((await join1(link)).image).toMatchObject({ seq: 1, adminHash: 'aa', teams: [{ name: 'a' }] })
})

test('a gateway that has everything gets nothing but what comes', async () => {
  const link = await open()
  const { epoch } = await join1(link, 'first')
  const again = await link.gateway(`gateway=gw&epoch=${epoch}&seq=0&snapshot=s1`)
  void link.commit('a')
  expect(await again.next()).toMatchObject({ type: 'changes', epoch, changes: [{ seq: 1 }] })
})

test('a gateway that was away gets what it missed, in order', async () => {
  const link = await open()
  const first = await join1(link)
  first.hangUp()
  void link.commit('a', 'b')
  void link.commit('c')
  const again = await link.gateway(`gateway=gw&epoch=${first.epoch}&seq=0&snapshot=s1`)
  const frames: number[] = []
  while (frames.at(-1) !== 3) {
    const frame = await again.next()
    if (frame?.type !== 'changes') throw new Error(`expected changes, got ${frame?.type}`)
    frames.push(...frame.changes.map(change => change.seq))
  }
  expect(frames).toEqual([1, 2, 3])
})

test('changes that are no longer kept, another epoch and a number from the future all get the image', async () => {
  const link = await open({ kept: 1 })
  const { epoch } = await join1(link)
  await link.store.commit([aTeam('a'), aTeam('b'), aTeam('c')])
  for (const query of [`epoch=${epoch}&seq=0`, 'epoch=other&seq=3', `epoch=${epoch}&seq=9`]) {
    const again = await link.gateway(`gateway=other&${query}&snapshot=s1`)
    expect(await again.next()).toMatchObject({ type: 'access', image: { seq: 3, epoch } })
  }
})

test('another admin key is another epoch, so that gateways hear of it', async () => {
  const { store, hub } = await open()
  const frames: Frame[] = []
  const sink = {
    write: async (frame: Frame) => {
      if (frame.type !== 'peers') frames.push(frame)
    },
    close: () => undefined,
  }
  const parts = { store, snapshot: aSnapshot('s1'), engines: [], now: () => 0, onError: () => undefined }
  const other = await openLinkHub({ ...parts, adminHash: 'bb' })
  const same = await openLinkHub({ ...parts, adminHash: 'aa' })
  hub.addGateway('a', { held: { epoch: null, seq: 0, snapshot: 's1' }, origin }, sink)
  await expect.poll(() => frames.length).toBe(1)
  const [first] = frames
  const epoch = first?.type === 'access' ? first.image.epoch : null
  same.addGateway('a', { held: { epoch, seq: 0, snapshot: 's1' }, origin }, sink)
  other.addGateway('a', { held: { epoch, seq: 0, snapshot: 's1' }, origin }, sink)
  await expect.poll(() => frames.length).toBe(2)
  expect(frames[1]).toMatchObject({ type: 'access', image: { adminHash: 'bb' } })
})

test('many commits at once reach a gateway whole and in order', async () => {
  const link = await open()
  const gateway = await join1(link)
  const { changesSince } = link.store
  // As slow as a real store: commits come while the link still reads for the one before.
  link.store.changesSince = async seq => {
    const changes = await changesSince(seq)
    await new Promise(resolve => {
      setImmediate(resolve)
    })
    return changes
  }
  const committed = Promise.all(Array.from({ length: 50 }, (_, n) => link.commit(`t${n}`)))
  const seen: number[] = []
  // After all the others were told, so that anything told twice comes before it.
  const last = committed.then(() => link.commit('last'))
  while (seen.at(-1) !== 51) {
    const frame = await gateway.next()
    if (frame?.type !== 'changes') throw new Error(`expected changes, got ${frame?.type}`)
    seen.push(...frame.changes.map(change => change.seq))
    await link.acknowledge({ gateway: 'gw', epoch: gateway.epoch, seq: seen.at(-1), snapshot: 's1' })
  }
  expect(seen).toEqual(Array.from({ length: 51 }, (_, n) => n + 1))
  await last
})

test('publishing waits for the acknowledgement and names who gave it', async () => {
  const link = await open()
  const gateway = await join1(link)
  const published = link.commit('a')
  expect(await gateway.next()).toMatchObject({ type: 'changes' })
  expect(await link.acknowledge({ gateway: 'gw', epoch: gateway.epoch, seq: 1, snapshot: 's1' })).toBe(204)
  expect(await published).toEqual({ acknowledged: ['gw'], waitingFor: [] })
})

test('a gateway that does not acknowledge in time is named, and so is one lost lately', async () => {
  const link = await open()
  const lost = await join1(link, 'lost')
  lost.hangUp()
  await expect.poll(() => link.hub.gateways()).toMatchObject([{ gateway: 'lost', connected: false }])
  await join1(link, 'slow')
  await link.store.commit([aTeam('a')])
  expect(await link.hub.waitAcknowledged(1, 20)).toEqual({ acknowledged: [], waitingFor: ['lost', 'slow'] })
  link.clock.now = 600_001
  expect(await link.hub.waitAcknowledged(1, 20)).toEqual({ acknowledged: [], waitingFor: ['slow'] })
})

test('one whose line broke a moment ago is waited for until it is back; one that is away for longer is named at once', async () => {
  const link = await open()
  const before = await join1(link)
  const isConnected = () => link.hub.gateways().map(({ connected }) => connected)
  const breakLine = async (gateway: { hangUp: () => unknown }) => {
    gateway.hangUp()
    await expect.poll(isConnected).toEqual([false])
  }
  await breakLine(before)
  await link.store.commit([aTeam('a')])
  // Longer than the test may take: it is the gateway that ends the waiting.
  const inForce = link.hub.waitAcknowledged(1, 60_000)
  const again = await link.gateway(`gateway=gw&epoch=${before.epoch}&seq=0&snapshot=s1`)
  expect(await again.next()).toMatchObject({ type: 'changes', changes: [{ seq: 1 }] })
  await link.acknowledge({ gateway: 'gw', epoch: before.epoch, seq: 1, snapshot: 's1' })
  expect(await inForce).toEqual({ acknowledged: ['gw'], waitingFor: [] })
  await breakLine(again)
  await link.store.commit([aTeam('b')])
  link.clock.now = 10_001
  expect(await link.hub.waitAcknowledged(2, 60_000)).toEqual({ acknowledged: [], waitingFor: ['gw'] })
})

test('an acknowledgement of another epoch counts for nothing', async () => {
  const link = await open()
  await join1(link)
  await link.store.commit([aTeam('a')])
  await link.acknowledge({ gateway: 'gw', epoch: 'other', seq: 1, snapshot: 's1' })
  expect(await link.hub.waitAcknowledged(1, 20)).toEqual({ acknowledged: [], waitingFor: ['gw'] })
})

test('nobody connected: nothing to wait for', async () => {
  const { commit } = await open()
  expect(await commit('a')).toEqual({ acknowledged: [], waitingFor: [] })
})

test('publishing nothing tells who has everything published so far', async () => {
  const link = await open()
  const gateway = await join1(link)
  const first = link.commit('a')
  await gateway.next()
  await link.acknowledge({ gateway: 'gw', epoch: gateway.epoch, seq: 1, snapshot: null })
  expect(await first).toEqual(await link.hub.publish([]))
})

test('a new snapshot goes to whoever is connected, and what a gateway has of it is known', async () => {
  const link = await open()
  const gateway = await join1(link)
  link.hub.publishSnapshot(aSnapshot('s2'))
  expect(await gateway.next()).toMatchObject({ type: 'snapshot', snapshot: { id: 's2' } })
  await link.acknowledge({ gateway: 'gw', epoch: gateway.epoch, seq: 0, snapshot: 's2' })
  expect(link.hub.gateways()).toMatchObject([{ gateway: 'gw', connected: true, seq: 0, snapshot: 's2' }])
})

test('the newer connection of a gateway replaces the older', async () => {
  const link = await open()
  const older = await join1(link)
  await join1(link)
  expect(await older.next()).toBeNull()
  expect(link.hub.gateways()).toMatchObject([{ gateway: 'gw', connected: true }])
})

test('links beat', async () => {
  const link = await open()
  const gateway = await join1(link)
  expect(await gateway.every()).toEqual({ type: 'peers', gateways: 1 })
  expect(await gateway.every()).toEqual({ type: 'beat' })
})

test('an agent gets the engines at first and whenever they change', async () => {
  const link = await open()
  const agent = await link.agent()
  expect(await agent.next()).toEqual({ type: 'engines', engines: [anEngine] })
  link.hub.publishEngines([])
  expect(await agent.next()).toEqual({ type: 'engines', engines: [] })
})

test('a failing store ends the link, so that the gateway dials in again', async () => {
  const link = await open()
  const gateway = await join1(link)
  link.store.changesSince = () => Promise.reject(new Error('disk'))
  await link.commit('a').catch(() => undefined)
  expect(await gateway.next()).toBeNull()
  expect(link.errors).toMatchObject([{ message: 'disk' }])
})

test('a peer that stopped reading is let go', async () => {
  const link = await open()
  let closed = false
  link.hub.addGateway(
    'stuck',
    { held: { epoch: null, seq: 0, snapshot: null }, origin },
    {
      write: () => new Promise(() => undefined),
      close: () => {
        closed = true
      },
    },
  )
  for (let beat = 0; beat < 10; beat++) link.hub.beat()
  expect(closed).toBe(false)
  link.hub.beat()
  expect(closed).toBe(true)
})

test('closing the controller ends every link', async () => {
  const link = await open()
  const gateway = await join1(link)
  const agent = await link.agent()
  await agent.next()
  await link.app.close()
  expect([await gateway.next(), await agent.next()]).toEqual([null, null])
})

/** Frames of one gateway, straight from the hub. */
function listenTo(hub: LinkHub, gateway: string, { joined = true, run = null as string | null } = {}) {
  const frames: Frame[] = []
  const state = { closed: false }
  const held = { epoch: null, seq: 0, snapshot: 's1', run }
  const leave = hub.addGateway(
    gateway,
    { held, origin: { joined, from: '10.0.0.2' } },
    {
      write: async frame => {
        frames.push(frame)
      },
      close: () => {
        state.closed = true
      },
    },
  )
  const peers = () => frames.flatMap(frame => (frame.type === 'peers' ? frame.gateways : []))
  return { frames, peers, leave, state }
}

test('each gateway hears how many serve, whenever that changes; one lost a moment ago still counts', async () => {
  const { hub, clock } = await open()
  const first = listenTo(hub, 'a')
  await expect.poll(first.peers).toEqual([1])
  const second = listenTo(hub, 'b')
  await expect.poll(() => [first.peers(), second.peers()]).toEqual([[1, 2], [2]])
  second.leave()
  clock.now = 9_000
  hub.beat()
  // Back within the moment: nobody's share has changed.
  const again = listenTo(hub, 'b')
  await expect.poll(again.peers).toEqual([2])
  expect(first.peers()).toEqual([1, 2])
  again.leave()
  clock.now = 20_000
  hub.beat()
  await expect.poll(first.peers).toEqual([1, 2, 1])
})

test('one that says goodbye is waited for no more, and counts no more; an older process’s goodbye is not its own', async () => {
  const { hub, store } = await open()
  const stays = listenTo(hub, 'a')
  const goes = listenTo(hub, 'b', { run: 'r2' })
  await expect.poll(() => stays.peers().at(-1)).toBe(2)
  hub.leave('b', 'r1')
  expect(hub.gateways()).toMatchObject([{ gateway: 'a' }, { gateway: 'b', presence: 'connected' }])
  hub.leave('b', 'r2')
  expect(goes.state.closed).toBe(true)
  expect(hub.gateways()).toMatchObject([{ gateway: 'a' }, { gateway: 'b', presence: 'left', connected: false }])
  await expect.poll(() => stays.peers().at(-1)).toBe(1)
  await store.commit([aTeam('a')])
  expect(await hub.waitAcknowledged(1, 20)).toEqual({ acknowledged: [], waitingFor: ['a'] })
})

test('a controller that starts anew waits for those that may still serve, for as long as they may', async () => {
  const { store, clock } = await open()
  const told: string[] = []
  const parts = { store, adminHash: 'aa', engines: [], now: () => clock.now, onError: () => undefined }
  const hour = 3_600_000
  const hub = await openLinkHub({
    ...parts,
    snapshot: { ...aSnapshot('s1'), maxStale: millis(hour) },
    onPresence: (gateway, presence) => told.push(`${gateway} ${presence}`),
    remembered: [
      { gateway: 'was-here', joined: true, from: null, presence: 'connected', sinceMs: 50 * hour },
      { gateway: 'was-here-too', joined: true, from: null, presence: 'connected', sinceMs: 50 * hour },
      { gateway: 'lost-lately', joined: true, from: null, presence: 'lost', sinceMs: hour / 2 },
      { gateway: 'lost-long-ago', joined: true, from: null, presence: 'lost', sinceMs: 2 * hour },
      { gateway: 'left', joined: true, from: null, presence: 'left', sinceMs: 1 },
    ],
  })
  expect((await hub.publish([])).waitingFor).toEqual(['was-here', 'was-here-too', 'lost-lately'])
  expect(hub.gateways()).toHaveLength(5)
  const back = listenTo(hub, 'was-here')
  // Who else was there at the end counts until it is known to be gone.
  await expect.poll(back.peers).toEqual([2])
  hub.forget('lost-lately')
  expect((await hub.publish([])).waitingFor).toEqual(['was-here', 'was-here-too'])
  back.leave()
  hub.leave('was-here', null)
  hub.close()
  expect(told).toEqual(['was-here connected', 'was-here lost', 'was-here left'])
})

test('one that stops before it has dialled in to a new controller can leave all the same', async () => {
  const { store, clock } = await open()
  const told: string[] = []
  const hub = await openLinkHub({
    ...{ store, adminHash: 'aa', engines: [], now: () => clock.now, onError: () => undefined },
    snapshot: aSnapshot('s1'),
    onPresence: (gateway, presence) => told.push(`${gateway} ${presence}`),
    remembered: [{ gateway: 'a', joined: true, from: null, presence: 'connected', sinceMs: 0 }],
  })
  hub.leave('a', 'r1')
  expect(hub.gateways()).toMatchObject([{ gateway: 'a', presence: 'left', connected: false }])
  expect(await hub.publish([])).toEqual({ acknowledged: [], waitingFor: [] })
  expect(told).toEqual(['a left'])
  // It is started again, and its goodbye from before has no bearing on that.
  const again = listenTo(hub, 'a', { run: 'r2' })
  hub.leave('a', 'r1')
  again.leave()
  hub.leave('a', 'r1')
  expect(hub.gateways()).toMatchObject([{ gateway: 'a', presence: 'lost' }])
  hub.close()
})

test('one that is removed is closed and forgotten; what each says of itself is kept while it is away', async () => {
  const { hub } = await open()
  const gateway = listenTo(hub, 'a')
  hub.report('a', { journalBehind: 7, problems: ['no secret'] })
  gateway.leave()
  expect(hub.gateways()).toMatchObject([{ connected: false, report: { journalBehind: 7, problems: ['no secret'] } }])
  const again = listenTo(hub, 'a')
  expect(hub.gateways()).toMatchObject([{ connected: true, report: { journalBehind: 7 } }])
  hub.forget('a')
  expect(again.state.closed).toBe(true)
  expect(hub.gateways()).toEqual([])
  // Its connection ends after it was forgotten.
  again.leave()
  hub.report('a', { journalBehind: 0, problems: [] })
  expect(hub.gateways()).toEqual([])
})
