import { createServer } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { ReleaseStore } from '../domain/release/index.ts'
import { instant, modelName, versionName } from '../domain/units.ts'
import { lookAtEngines } from './look-at-engines.ts'

const release = { model: modelName('coder'), from: versionName('v1'), to: versionName('v2') }
type Seen = { version: string; status: string; inFlight: number }
const toClose: (() => unknown)[] = []
afterEach(async () => {
  for (const close of toClose.splice(0).toReversed()) await close()
})

/** A gateway's socket that tells of its versions, and a clock. `versions` null: it is being replaced. */
async function open() {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-look-'))
  toClose.push(() => rmSync(folder, { recursive: true }))
  const socket = join(folder, 'gateway.sock')
  const world: { versions: Seen[] | null; now: number; served: number; key: unknown } = {
    ...{ versions: [], now: 1_000_000, served: 0, key: null },
  }
  const server = createServer((request, response) => {
    world.key = request.headers.authorization
    if (world.versions === null) return response.destroy()
    return response.end(JSON.stringify({ versions: world.versions }))
  })
  await new Promise<void>(resolve => server.listen(socket, resolve))
  toClose.push(() => server.close())
  const row = { failed: false, stratum: 's', firstTokenMs: 1, perTokenMs: 1 }
  const served: ReleaseStore['served'] = async () => Array.from({ length: world.served }, () => row)
  const engines = lookAtEngines({ socket, key: 'the-key', store: { served }, now: () => instant(world.now) })
  const see = (status: string | null, { inFlight = 0, live = 'loaded' } = {}) => {
    world.versions = [
      { version: 'v1', status: live, inFlight: 0 },
      ...(status === null ? [] : [{ version: 'v2', status, inFlight }]),
    ]
  }
  return {
    ...{ world, see },
    look: (afterMs = 0) => {
      world.now += afterMs
      return engines.look(release)
    },
  }
}

test('a version is absent, loads, and is ready; an engine that sleeps until it is asked is ready too', async () => {
  const { see, look, world } = await open()
  see(null)
  expect(await look()).toMatchObject({ live: { state: 'ready' }, candidate: { state: 'absent' } })
  see('loading')
  expect((await look()).candidate.state).toBe('loading')
  see('loaded')
  expect((await look()).candidate.state).toBe('ready')
  see('stopped')
  expect((await look()).candidate.state).toBe('ready')
  expect(world.key).toBe('Bearer the-key')
})

test('a slow loader is waited for; one whose replicas nobody answers at has failed after ten seconds', async () => {
  const { see, look } = await open()
  see('loading')
  await look()
  expect((await look(3_600_000)).candidate.state).toBe('loading')
  const other = await open()
  other.see('unavailable')
  expect((await other.look()).candidate.state).toBe('loading')
  expect((await other.look(9_999)).candidate.state).toBe('loading')
  expect(await other.look(1)).toMatchObject({
    candidate: { state: 'failed', why: expect.stringContaining('replicas') },
  })
})

test('one that answered has failed after ten seconds away; a restart in between is none', async () => {
  const { see, look } = await open()
  see('loaded')
  await look()
  see('unavailable')
  expect((await look()).candidate.state).toBe('loading')
  see('loaded')
  expect((await look(9_000)).candidate.state).toBe('ready')
  see('loading')
  expect((await look()).candidate.state).toBe('loading')
  expect(await look(10_000)).toMatchObject({ candidate: { state: 'failed', why: expect.stringContaining('before') } })
  see('loaded')
  expect((await look()).candidate.state).toBe('ready')
})

test('a gateway that is being replaced says nothing of its engines: nobody failed, nobody is idle', async () => {
  const { see, look, world } = await open()
  see('loaded')
  await look()
  world.versions = null
  expect(await look(60_000)).toMatchObject({ live: { state: 'loading' }, candidate: { state: 'loading' }, idle: false })
  see('loaded')
  expect(await look()).toMatchObject({ live: { state: 'ready' }, candidate: { state: 'ready' } })
})

test('idle is: ten seconds watched, nothing under way, and nothing asked meanwhile', async () => {
  const { see, look, world } = await open()
  see('loaded')
  expect((await look()).idle).toBe(false)
  expect((await look(9_000)).idle).toBe(false)
  expect((await look(1_000)).idle).toBe(true)
  see('loaded', { inFlight: 1 })
  expect((await look()).idle).toBe(false)
  see('loaded')
  world.served = 1
  expect((await look()).idle).toBe(false)
})

test('how long the live version took to load is remembered, for when it has to again', async () => {
  const { see, look } = await open()
  see(null, { live: 'loading' })
  expect((await look()).liveLoads).toBeNull()
  see(null, { live: 'loaded' })
  await look(42_000)
  expect((await look()).liveLoads).toBe(42_000)
})
