import { expect, test } from 'vitest'
import { fakeAccessStore } from '../../domain/access/fake.ts'
import type { AgentFrame, GatewayFrame, Snapshot, Spend } from '../../domain/serving/index.ts'
import { openEdge } from '../../domain/serving/index.ts'
import { bytes, instant, millis } from '../../domain/units.ts'
import { openLinkHub, type SpendBook } from './link-hub.ts'

const snapshot: Snapshot = {
  ...{ id: 's1', service: 'lab', models: [], flags: [], versions: [], jwt: [], edge: openEdge, sharedLimits: 'local' },
  ...{ maxStale: millis(1), health: { stall: millis(1), canary: null }, whenUnwritable: 'serve' },
  limits: { body: bytes(1), inFlight: 1, firstByte: millis(1), idle: millis(1), request: millis(1) },
}
const spend = (all: number, own: number): Spend => ({
  ...{ subject: 'key', name: 'k', unit: 'tokens', currency: null, every: millis(60_000), period: instant(0), all, own },
})
/** One holder, whose sum changed at `n`; all of it is of the run `e1`. */
const book = (n: number, all: number): SpendBook => ({
  n,
  since: (after, run) => (after < n ? [spend(all, run === 'e1' ? all : 0)] : []),
})

async function open() {
  const errors: unknown[] = []
  const hub = await openLinkHub({
    ...{ store: fakeAccessStore(), adminHash: 'x', snapshot, engines: [], now: () => 0 },
    onError: error => errors.push(error),
  })
  /** `told` resolves with the next frame about spending. */
  function join(gateway: string, run: string | null) {
    const frames: Spend[][] = []
    let wake: (() => void) | null = null
    const write = async (frame: GatewayFrame | AgentFrame) => {
      if (frame.type !== 'spend') return
      frames.push(frame.spend)
      wake?.()
    }
    const held = { epoch: null, seq: 0, snapshot: null, run }
    hub.addGateway(gateway, { held, origin: { joined: false, from: null } }, { write, close: () => {} })
    return async () => {
      if (frames.length === 0) await new Promise<void>(resolve => (wake = resolve))
      return frames.shift()
    }
  }
  return { hub, join, errors }
}

test('each gateway is told what was spent and which part is its own, also when it comes later', async () => {
  const { hub, join, errors } = await open()
  const first = join('a', 'e1')
  hub.publishSpend(book(1, 5))
  expect(await first()).toEqual([spend(5, 5)])
  const second = join('b', 'e2')
  expect(await second()).toEqual([spend(5, 0)])
  hub.publishSpend(book(2, 9))
  expect(await Promise.all([first(), second()])).toEqual([[spend(9, 9)], [spend(9, 0)]])
  expect(errors).toEqual([])
})

test('a gateway that comes back is told all of it anew', async () => {
  const { hub, join } = await open()
  hub.publishSpend(book(1, 5))
  expect(await join('a', 'e1')()).toEqual([spend(5, 5)])
  expect(await join('a', 'e3')()).toEqual([spend(5, 0)])
})
