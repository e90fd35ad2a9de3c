import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { startFakeEngine } from '../../../tools/fake-engine/index.ts'
import { findEngines, listModels, usualPorts } from './index.ts'

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

async function listen(handler: RequestListener): Promise<number> {
  const server = createServer(handler)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closers.push(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  // A TCP server that listens has an address object.
  return (server.address() as AddressInfo).port
}

const json =
  (body: unknown): RequestListener =>
  (_, response) =>
    void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))

test('engines that run are found with their models, in the order of their ports; others and the own port are passed over', async () => {
  const engines = [
    await startFakeEngine({ name: 'llama3:8b' }),
    await startFakeEngine({ name: 'qwen', dialect: 'llama-cpp' }),
    await startFakeEngine({ name: 'own' }),
  ]
  for (const engine of engines) closers.push(() => engine.close())
  const page = await listen((_, response) => void response.end('<html>'))
  const refusing = await listen((_, response) => void response.writeHead(401).end())
  const silent = await listen(() => {})
  const closed = await listen(() => {})
  await closers.pop()?.()
  const programs = ['A', 'B', 'own', 'page', 'refusing', 'silent', 'closed']
  const ports = [...engines.map(({ port }) => port), page, refusing, silent, closed].map((port, i) => ({
    program: programs[i] ?? '',
    port,
  }))
  const startedMs = performance.now()
  expect(await findEngines(ports, engines[2]?.port ?? 0)).toEqual([
    { program: 'A', url: `http://127.0.0.1:${engines[0]?.port}/v1`, models: ['llama3:8b'] },
    { program: 'B', url: `http://127.0.0.1:${engines[1]?.port}/v1`, models: ['qwen'] },
  ])
  expect(performance.now() - startedMs).toBeLessThan(2_000)
})

test('the key is sent, and a refusal names the address and the status', async () => {
  const port = await listen((request, response) => {
    if (request.headers.authorization === 'Bearer k') json({ data: [{ id: 'm' }] })(request, response)
    else response.writeHead(401).end()
  })
  const url = `http://127.0.0.1:${port}/v1`
  expect(await listModels(url, 'k', 1_000)).toEqual(['m'])
  await expect(listModels(url, null, 1_000)).rejects.toThrow(`${url}/models answers 401`)
})

test('what answers otherwise than an engine is told apart', async () => {
  for (const body of [{}, [], null, { data: 'x' }, 'text']) {
    const port = await listen(json(body))
    await expect(listModels(`http://127.0.0.1:${port}/v1`, null, 1_000)).rejects.toThrow(
      /does not answer as an OpenAI-compatible engine/,
    )
  }
  const odd = await listen(json({ data: [{ id: 'm' }, { id: 3 }, { id: '\u001b[2Jm' }, null, 'x', {}] }))
  expect(await listModels(`http://127.0.0.1:${odd}/v1`, null, 1_000)).toEqual(['m'])
})

test('a program on this machine can’t send the question elsewhere', async () => {
  let asked = 0
  const elsewhere = await listen((request, response) => {
    asked++
    json({ data: [{ id: 'elsewhere' }] })(request, response)
  })
  const port = await listen(
    (_, response) => void response.writeHead(302, { location: `http://127.0.0.1:${elsewhere}/v1/models` }).end(),
  )
  await expect(listModels(`http://127.0.0.1:${port}/v1`, 'k', 1_000)).rejects.toThrow(/answers 302/)
  expect(asked).toBe(0)
})

test('an endless answer is given up', async () => {
  const port = await listen((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).write('{"data":[')
    const piece = Buffer.alloc(64 * 1024, ' ')
    const go = (): void => {
      while (!response.destroyed) if (!response.write(piece)) return void response.once('drain', go)
    }
    go()
  })
  await expect(listModels(`http://127.0.0.1:${port}/v1`, null, 500)).rejects.toThrow()
})

test('the usual ports are ones that programs have', () => {
  expect(usualPorts.every(({ port }) => Number.isInteger(port) && port > 0 && port < 65_536)).toBe(true)
})
