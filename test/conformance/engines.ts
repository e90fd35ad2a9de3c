/** Every engine of the conformance run behind one service: fakes that speak as each kind does, and the real programs. */
import { once } from 'node:events'
import { request } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { expect } from 'vitest'
import { z } from 'zod'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { hasLlamaServer, startLlamaServer, type LlamaServer } from '../support/llama-server.ts'
import { startService, type Service } from '../support/service.ts'
import { until } from '../support/settled.ts'
import { engines, type Engine } from './table.ts'

export type Bench = Awaited<ReturnType<typeof startBench>>

/** `llama-server` only where it was built. */
export const enginesHere: readonly Engine[] = engines.filter(({ name }) => name !== 'llama-server' || hasLlamaServer())

/** A model for each engine, and one more, `<engine>-down`, of a replica that is not there. */
export async function startBench() {
  const fakes = new Map<string, FakeEngine>()
  const servers: LlamaServer[] = []
  const closed = await closedPort()
  const versions: string[] = []
  const models: string[] = []
  const add = (name: string, engine: string, replica: string): void => {
    const version = `${name.replaceAll('-', '')}-v1-${engine.includes('embedded') ? 'smoke-2m-q8-0' : 'qwen2-5-coder-7b-awq'}-p0`
    versions.push(
      `  - { name: ${version}, ${engine}, sampling: { temperature: 0 }, replicas: [{ id: ${name}${replica} }] }`,
    )
    models.push(`  - { name: ${name}, live: ${version}, queue: { waiting: 0 } }`)
  }
  for (const { name, kind } of enginesHere) {
    if (kind === 'embedded') {
      add(name, "artifact: { from: 'builtin:smoke' }, engine: { kind: embedded }", '')
      continue
    }
    const at = (url: string): string => `, url: '${url}/v1'`
    const engine = `engine: { kind: ${kind}, servedName: smoke }`
    add(`${name}-down`, engine, at(`http://127.0.0.1:${closed}`))
    if (name === 'llama-server') {
      const [chats, embeds] = await Promise.all([
        startLlamaServer('--jinja'),
        startLlamaServer('--embeddings', '--pooling', 'mean'),
      ])
      servers.push(chats, embeds)
      add(name, engine, at(chats.url))
      add(`${name}-embeddings`, engine, at(embeds.url))
      continue
    }
    const fake = await startFakeEngine({ name: 'smoke', dialect: kind })
    fakes.set(name, fake)
    add(name, engine, at(fake.url))
  }
  const spec = ['apiVersion: holdfast/v1', 'name: conformance', 'versions:', ...versions, 'models:', ...models].join(
    '\n',
  )
  const service = await startService({ spec })
  const socket = await socketOf(service)
  return {
    service,
    key: await makeKey(service),
    fake: (name: string): FakeEngine | null => fakes.get(name) ?? null,
    /** Runs `leave`, in which a client leaves an answer; fails unless the engine's work on it stops unfinished. */
    async expectAbandoned({ name, kind }: Engine, leave: () => Promise<void>): Promise<void> {
      const fake = fakes.get(name)
      if (fake !== undefined) {
        const { aborted } = fake.state()
        await leave()
        await fake.until(state => state.aborted === aborted + 1 && state.running === 0)
        return
      }
      const work = kind === 'embedded' ? () => embeddedWork(socket) : () => llamaWork(servers[0]?.url ?? '')
      const before = await work()
      await leave()
      await until('the engine rests', async () => (await work()).running === 0)
      const after = await work()
      expect(after.generated).toBeGreaterThan(before.generated)
      expect(after.generated - before.generated).toBeLessThan(leastTokens)
    },
    async close(): Promise<void> {
      await service.stop()
      for (const engine of [...fakes.values(), ...servers]) await engine.close()
    },
  }
}

/** What a question without an end takes at least, in tokens: a real program fills its context with the answer. */
const leastTokens = 400

type Work = { running: number; generated: number }

async function embeddedWork(socketPath: string): Promise<Work> {
  const [response] = await once(request({ socketPath, path: '/metrics' }).end(), 'response')
  const page: string = (await response.setEncoding('utf8').toArray()).join('')
  return {
    running: valueOf(page, 'embedded:requests_running'),
    generated: valueOf(page, 'embedded:generation_tokens_total'),
  }
}

async function llamaWork(url: string): Promise<Work> {
  const page = await (await fetch(`${url}/metrics`)).text()
  return {
    running: valueOf(page, 'llamacpp:requests_processing'),
    generated: valueOf(page, 'llamacpp:tokens_predicted_total'),
  }
}

const valueOf = (page: string, name: string): number => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(page)?.[1])

async function socketOf(service: Service): Promise<string> {
  const { stdout } = await service.cli('status', '--json')
  const { engines: running } = z
    .object({ engines: z.array(z.object({ socket: z.string() })) })
    .parse(JSON.parse(stdout))
  return running[0]?.socket ?? ''
}

async function makeKey(service: Service): Promise<string> {
  const answer = await service.call('/key/generate', { key_alias: 'conformance' })
  // A made key is told once, under this name.
  return ((await answer.json()) as { key: string }).key
}

/** One that was free a moment ago and that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}
