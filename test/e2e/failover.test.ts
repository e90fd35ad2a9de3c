/** Engines that die under their requests: what the client had not seen begin goes to another, what it had is cut aloud. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ask, type Ended } from '../support/load.ts'
import { adminKey, repository, startService, type Service } from '../support/service.ts'

type Row = {
  id: string
  outcome: string
  fault: string | null
  status: number
  attempts: number
  replica: string | null
}
type Engine = { url: string; child: ChildProcess }

const backWithinMs = 10_000
const fourKeys = { message: expect.any(String) as string, type: 'server_error', param: null, code: 'engine_lost' }

let first: Engine
let second: Engine
let service: Service

beforeAll(async () => {
  ;[first, second] = await Promise.all([startEngine(), startEngine()])
  service = await startService({ spec: specFor(first.url, second.url) })
})
afterAll(async () => {
  await service?.stop()
  await Promise.all([first, second].map(engine => engine && kill(engine)))
})

test('of 100 streams, those that had not begun succeed elsewhere and those that had end with an error event', async () => {
  // Half have their first tokens when the engine dies, half wait for theirs.
  const early = Array.from({ length: 50 }, () => startStream('[[fake:tokens=150,gapMs=30]]'))
  const late = Array.from({ length: 50 }, () => startStream('[[fake:firstMs=3000,tokens=10]]'))
  await Promise.all(early.map(({ begun }) => begun))
  const before = await reached(first, second, 100)
  const onFirst = before[0].running
  await kill(first)
  const ended = await Promise.all([...early, ...late].map(each => each.ended))

  const cut = ended.filter(({ end }) => end === 'error-event')
  expect(ended.filter(({ end, status }) => status !== 200 || (end !== 'whole' && end !== 'error-event'))).toEqual([])
  expect(
    cut.filter(({ events }) => events === 0),
    'a stream that had not begun was cut',
  ).toEqual([])
  for (const { error } of cut) expect(error).toEqual(fourKeys)
  expect(cut.length).toBeGreaterThan(5)

  const rows = await readLog(ended)
  expect(cut.map(({ id }) => pickFacts(rows.get(id ?? '')))).toEqual(
    cut.map(() => ({ outcome: 'failed', fault: 'engine-lost', attempts: 1, replica: 'first' })),
  )
  const whole = ended.filter(({ end }) => end === 'whole')
  const moved = whole.filter(({ id }) => (rows.get(id ?? '')?.attempts ?? 0) > 1)
  expect(whole.filter(({ id }) => rows.get(id ?? '')?.outcome !== 'ok')).toEqual([])
  expect(moved.map(({ id }) => pickFacts(rows.get(id ?? '')))).toEqual(
    moved.map(() => ({ outcome: 'ok', fault: null, attempts: 2, replica: 'second' })),
  )
  // All that the dead engine had is accounted for, and nothing was asked twice but what it had.
  expect(moved.length).toBeGreaterThan(5)
  expect(cut.length + moved.length).toBe(onFirst)
  expect((await stateOf(second)).received).toBe(before[1].received + moved.length)
})

test('an engine that is started again at its address is used again', async () => {
  first = await startEngine(first)
  await untilUsed(first)
})

test('whole answers outlive the engine that was making them', async () => {
  const counts = [(await stateOf(first)).received, (await stateOf(second)).received]
  // It has just come up and gets a small share of them yet.
  const asked = Array.from({ length: 100 }, () => whole('[[fake:tokens=30,gapMs=40]]'))
  const before = await reached(first, second, 100 + counts[0]! + counts[1]!)
  await kill(first)
  const ended = await Promise.all(asked)
  expect(ended.filter(({ end, status }) => end !== 'whole' || status !== 200)).toEqual([])
  const rows = await readLog(ended)
  expect([...rows.values()].filter(({ outcome }) => outcome !== 'ok')).toEqual([])
  const moved = [...rows.values()].filter(({ attempts }) => attempts > 1)
  expect(moved.length).toBe(before[0].running)
  expect(moved.length).toBeGreaterThan(5)
  first = await startEngine(first)
  await untilUsed(first)
})

test('a backup has requests only while the main replica is dead', async () => {
  const received = async (): Promise<number> => (await stateOf(second)).received
  const several = (): Promise<Ended[]> => Promise.all(Array.from({ length: 10 }, () => whole('hello', 'guarded')))
  const succeed = (ended: Ended[]): void =>
    expect(ended.filter(({ status, end }) => status !== 200 || end !== 'whole')).toEqual([])

  const atFirst = await received()
  succeed(await several())
  expect(await received()).toBe(atFirst)

  await kill(first)
  succeed(await several())
  succeed(await several())
  expect(await received()).toBe(atFirst + 20)

  first = await startEngine(first)
  await untilUsed(first, 'guarded')
  const atLast = await received()
  succeed(await several())
  expect(await received()).toBe(atLast)
})

/** `begun`: the client has the first event. */
function startStream(content: string): { begun: Promise<void>; ended: Promise<Ended> } {
  const { promise: begun, resolve: onEvent } = Promise.withResolvers<void>()
  const body = { model: 'coder', stream: true, messages: [{ role: 'user', content }] }
  return { begun, ended: ask({ url: service.url, key: adminKey, body, onEvent }) }
}

const whole = (content: string, model = 'coder'): Promise<Ended> =>
  ask({ url: service.url, key: adminKey, body: { model, messages: [{ role: 'user', content }] } })

function specFor(one: string, other: string): string {
  const version = (name: string, backup: string): string => `
  - name: ${name}
    engine: { kind: openai, servedName: fake }
    replicas:
      - { id: first${backup}, url: "${one}/v1" }
      - { id: second${backup}, url: "${other}/v1"${backup === '' ? '' : ', backup: true'} }`
  const [equal, guarded] = ['production-v1.0-fake-fp16-p0', 'production-v2.0-fake-fp16-p0']
  return `apiVersion: holdfast/v1
name: failover
# Engines count every request, and these are to count those of clients alone.
gateway: { health: { canary: off } }
versions:${version(equal, '')}${version(guarded, '-backed')}
models:
  - { name: coder, live: ${equal} }
  - { name: guarded, live: ${guarded} }
`
}

/** A process, at the address of the one before it if there was one. */
async function startEngine(before?: Engine): Promise<Engine> {
  const port = before === undefined ? '0' : new URL(before.url).port
  const child = spawn(join(repository, 'bin/node24'), [join(repository, 'tools/fake-engine/main.ts'), '--port', port], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  return { child, url: (JSON.parse(line) as { url: string }).url }
}

/** SIGKILL; resolves when it is gone. */
async function kill({ child }: Engine): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

type State = { received: number; running: number }

async function stateOf({ url }: Engine): Promise<State> {
  return (await (await fetch(`${url}/fake/state`)).json()) as State
}

/** Waits until two engines have had so many requests between them. */
async function reached(one: Engine, other: Engine, received: number): Promise<[State, State]> {
  for (const untilMs = performance.now() + backWithinMs; ;) {
    const states = await Promise.all([stateOf(one), stateOf(other)])
    if (states[0].received + states[1].received === received) return states
    if (performance.now() > untilMs)
      throw new Error(`not within ${backWithinMs} ms: ${received} requests at the engines ${JSON.stringify(states)}`)
  }
}

/** Asks until the engine has had one of the requests; each must succeed. */
async function untilUsed(engine: Engine, model = 'coder'): Promise<void> {
  const { received } = await stateOf(engine)
  for (const untilMs = performance.now() + backWithinMs; (await stateOf(engine)).received === received;) {
    expect(await whole('hello', model)).toMatchObject({ status: 200, end: 'whole' })
    if (performance.now() > untilMs) throw new Error(`the engine was not used again within ${backWithinMs} ms`)
  }
}

/** The log's rows of these requests, each exactly once. */
async function readLog(ended: Ended[]): Promise<Map<string, Row>> {
  const { stdout } = await service.cli('logs', '--json', '--limit', '10000')
  const ids = new Set(ended.map(({ id }) => id))
  const rows = stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Row)
    .filter(({ id }) => ids.has(id))
  expect(rows).toHaveLength(ended.length)
  return new Map(rows.map(row => [row.id, row]))
}

function pickFacts(row: Row | undefined): Pick<Row, 'outcome' | 'fault' | 'attempts' | 'replica'> | undefined {
  return row && { outcome: row.outcome, fault: row.fault, attempts: row.attempts, replica: row.replica }
}
