import { expect, test } from 'vitest'
import { bytes, millis } from '../../domain/units.ts'
import type { GatewayLimits } from '../../domain/serving/index.ts'
import type { Exchange } from './exchange.ts'
import { openConversations } from './conversations.ts'
import { read } from './read.ts'

const limits = (): GatewayLimits => ({
  body: bytes(100),
  inFlight: 10,
  firstByte: millis(1),
  idle: millis(1),
  request: millis(1),
})

/** An exchange whose body comes when `arrive` is called; only what `read` looks at. */
function exchange(declaredBytes: number | null) {
  const { promise, resolve } = Promise.withResolvers<Uint8Array>()
  const body = '{"model":"m","messages":[{"role":"user","content":"Hi"}]}'
  const partial: unknown = {
    head: { path: 'chat/completions', declaredBytes },
    readBody: () => promise,
    ask: null,
    form: null,
  }
  return { exchange: partial as Exchange, arrive: () => resolve(Buffer.from(body)) }
}

test('bodies that are still arriving count against what all may hold, and give their share back', async () => {
  const conversations = openConversations({ mostBytes: 0, keptForMs: 0, now: () => 0 })
  const serve = read({ limits, conversations }, 250)(async () => {})
  const slow = [exchange(100), exchange(null)]
  const running = slow.map(({ exchange: each }) => serve(each))
  await expect(serve(exchange(60).exchange)).rejects.toMatchObject({ fault: { kind: 'overloaded' } })
  for (const { arrive } of slow) arrive()
  await Promise.all(running)
  const next = exchange(60)
  next.arrive()
  await serve(next.exchange)
  expect(next.exchange.ask?.model).toBe('m')
})
