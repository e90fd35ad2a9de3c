import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, expect, test } from 'vitest'
import { play, policyOf } from '../domain/release/fake.ts'
import type { Hook } from '../domain/release/index.ts'
import { askHook, tellHook } from './release-hooks.ts'

type Seen = { body: string; signature: unknown; type: unknown }
const toClose: (() => unknown)[] = []
afterEach(async () => {
  for (const close of toClose.splice(0)) await close()
})

/** Answers with these, one after another, the last one for good. */
async function startHook(...statuses: number[]) {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    void text(request).then(body => {
      seen.push({ body, signature: request.headers['x-holdfast-signature'], type: request.headers['content-type'] })
      const status = statuses.length > 1 ? statuses.shift() : statuses[0]
      response.writeHead(status ?? 200, status === 302 ? { location: '/elsewhere' } : {}).end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  toClose.push(() => server.close())
  // Not null, and not the name of a pipe: it listens on a port.
  const { port } = server.address() as AddressInfo
  return { seen, url: `http://127.0.0.1:${port}/` }
}

const env = { HOOK: 'secret-of-the-hook' }
const hookAt = (url: string, secret: string | null = null): Hook => ({ kind: 'event', url, secret })
const parts = (signal = new AbortController().signal) => ({ env, signal })
const player = play(policyOf({ name: 'careful' }))
const decided = () => {
  const { decision } = player.by('abort')
  if (decision === null) throw new Error('an abort is a decision')
  return { release: player.release(), decision: { ...decision, n: 1 } }
}
const told = decided()

test('a decision is told with who, what and why, signed over the very bytes', async () => {
  const { url, seen } = await startHook(200)
  expect(await tellHook(hookAt(url, '${env:HOOK}'), told, parts())).toBeNull()
  const [{ body, signature, type } = { body: '', signature: '', type: '' }] = seen
  expect(signature).toBe(`sha256=${createHmac('sha256', env.HOOK).update(body).digest('hex')}`)
  expect(type).toBe('application/json')
  expect(JSON.parse(body)).toMatchObject({
    ...{ event: 'decision', name: 'coder', policy: 'careful', n: 1, phase: 'aborted' },
    metadata: { from: 'v1', to: 'v2' },
    ...{ was: { phase: 'draft' }, is: { phase: 'aborted' }, why: 'aborted by anna: because', by: { alias: 'anna' } },
  })
})

test('without a secret nothing is signed', async () => {
  const { url, seen } = await startHook(200)
  await tellHook(hookAt(url), told, parts())
  expect(seen).toMatchObject([{ signature: undefined }])
})

test('who fails is told again', async () => {
  const { url, seen } = await startHook(503, 200)
  expect(await tellHook(hookAt(url), told, parts())).toBeNull()
  expect(seen).toHaveLength(2)
  expect(seen[0]?.body).toBe(seen[1]?.body)
})

test('what can’t be told is said in the end: whom, and why; a controller that stops does not wait for it', async () => {
  const { url } = await startHook(500)
  const stop = new AbortController()
  const problem = tellHook(hookAt(url), told, parts(stop.signal))
  stop.abort()
  expect(await problem).toContain(url)
  expect(await tellHook(hookAt('http://127.0.0.1:1/'), told, parts(stop.signal))).toContain("can't be told")
})

test('one who is asked agrees with 2xx only, and a redirection is followed to nobody', async () => {
  const release = player.release()
  for (const [status, ok] of [
    [200, true],
    [204, true],
    [403, false],
    [500, false],
    [302, false],
  ] as const) {
    const { url, seen } = await startHook(status)
    expect(await askHook(hookAt(url), release, parts())).toMatchObject({ ok, detail: expect.stringContaining(url) })
    expect(seen).toHaveLength(1)
    expect(JSON.parse(seen[0]?.body ?? '')).toMatchObject({ event: 'confirm', name: 'coder' })
  }
})

test('nobody at home, or a secret that is not set, is a no with its reason', async () => {
  const release = player.release()
  expect(await askHook(hookAt('http://127.0.0.1:1/'), release, parts())).toMatchObject({
    ok: false,
    detail: expect.stringContaining("can't be asked"),
  })
  const { url, seen } = await startHook(200)
  expect(await askHook(hookAt(url, '${env:NOT_SET}'), release, parts())).toMatchObject({
    ok: false,
    detail: expect.stringContaining('NOT_SET'),
  })
  expect(seen).toEqual([])
})

test('a release that ends while somebody is asked asks no more', async () => {
  const { url } = await startHook(200)
  const over = AbortSignal.abort(new Error('the release is over'))
  await expect(askHook(hookAt(url), player.release(), parts(over))).rejects.toThrow('the release is over')
})
