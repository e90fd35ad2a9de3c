import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { awaitModels } from './await-models.ts'

let server: Server | null = null
const folder = mkdtempSync(join(tmpdir(), 'holdfast-await-'))
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(async () => {
  server?.closeAllConnections()
  await new Promise<void>(resolve => {
    if (server === null) resolve()
    else server.close(() => resolve())
  })
  server = null
})

/** Answers with one step after another, and then with the last again and again. */
async function gateway(...steps: (string | null)[]): Promise<string> {
  let at = 0
  server = createServer((request, response) => {
    const status = steps[Math.min(at++, steps.length - 1)]
    if (request.headers.authorization !== 'Bearer k') response.writeHead(401).end('{}')
    else if (status === null) response.destroy()
    else response.end(JSON.stringify({ object: 'list', data: [], models: [{ name: 'coder', version: 'v1', status }] }))
  })
  const socket = join(folder, 'gateway.sock')
  await new Promise<void>(resolve => server?.listen(socket, resolve))
  return socket
}

const parts = (socket: string) => ({
  socket,
  key: 'k',
  longestMs: 10_000,
  signal: new AbortController().signal,
  onProgress: () => {},
})

test('it waits until no model is loading, and tells which are', async () => {
  const socket = await gateway('loading', 'loading', 'loaded')
  const told: string[][] = []
  expect(await awaitModels({ ...parts(socket), onProgress: loading => told.push(loading) })).toEqual([
    { name: 'coder', version: 'v1', status: 'loaded' },
  ])
  expect(told).toEqual([['coder'], ['coder']])
})

test('a model that will not load by itself is not waited for', async () => {
  expect(await awaitModels(parts(await gateway('unavailable')))).toMatchObject([{ status: 'unavailable' }])
})

test('a gateway that breaks off or is not there yet is asked again', async () => {
  expect(await awaitModels(parts(await gateway(null, null, 'loaded')))).toMatchObject([{ status: 'loaded' }])
})

test('after the longest wait the models are told as they are', async () => {
  expect(await awaitModels({ ...parts(await gateway('loading')), longestMs: 100 })).toMatchObject([
    { status: 'loading' },
  ])
})

test('it ends when it is told to', async () => {
  const stop = new AbortController()
  const socket = await gateway('loading')
  expect(await awaitModels({ ...parts(socket), signal: stop.signal, onProgress: () => stop.abort() })).toEqual([])
})

test('a gateway that never lists its models is not waited for without end', async () => {
  expect(await awaitModels({ ...parts(await gateway('loaded')), key: 'wrong', longestMs: 100 })).toEqual([])
})

test('weights that still come are waited for beyond the longest wait, and those that won’t come are not', async () => {
  const socket = await gateway('loading')
  const states = ['fetching', 'fetching', 'fetching', 'failed'] as const
  let looks = 0
  const models = await awaitModels({
    ...parts(socket),
    longestMs: 1,
    fetchOf: () => states[Math.min(looks, states.length - 1)] ?? null,
    onProgress: () => looks++,
  })
  expect(looks).toBe(3)
  expect(models).toEqual([{ name: 'coder', version: 'v1', status: 'unavailable' }])
})
