/** Engines and gateways of one test, closed after it, the last one first. */
import { afterEach } from 'vitest'
import { startFakeEngine, type FakeEngine, type FakeEngineOptions } from '../../tools/fake-engine/index.ts'
import { startGateway, type GatewayOptions, type TestGateway } from './in-process-gateway.ts'

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

export async function engine(options: FakeEngineOptions = {}): Promise<FakeEngine> {
  const fake = await startFakeEngine(options)
  closers.push(() => fake.close())
  return fake
}

export async function gateway(options: GatewayOptions): Promise<TestGateway> {
  const started = await startGateway(options)
  closers.push(() => started.close())
  return started
}
