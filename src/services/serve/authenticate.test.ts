import { expect, test } from 'vitest'
import { unbounded, type Scopes } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import type { ModelPath } from '../../domain/serving/index.ts'
import { keyId } from '../../domain/units.ts'
import { authenticate, type Authenticate, type Authenticated } from './authenticate.ts'
import { ClientGone, pipeline, type Exchange } from './exchange.ts'

const found = (scopes: Scopes = unbounded): Authenticated => ({
  ok: true,
  principal: { kind: 'key', id: keyId('key_1'), alias: null, team: null },
  scopes,
})

/** Runs the stage alone; the part of an exchange it touches is enough. */
async function pass(
  lookUp: Authenticate,
  {
    path = 'chat/completions',
    key = 'sk',
    gone = false,
  }: { path?: ModelPath; key?: string | null; gone?: boolean } = {},
) {
  const exchange = { head: { key, path, from: '10.0.0.5' }, principal: null, gone } as unknown as Exchange
  const reached: Exchange[] = []
  const serve = pipeline(
    authenticate(lookUp, () => 1_000),
    one => void reached.push(one),
  )
  const error = await serve(exchange).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  const fault = error instanceof FaultError ? error.fault : null
  return { reached: reached.length, error, fault, principal: exchange.principal }
}

test('who is known goes on, at once or by a promise', async () => {
  for (const lookUp of [() => found(), async () => found()])
    expect(await pass(lookUp)).toMatchObject({ reached: 1, error: null, principal: { id: 'key_1' } })
})

test('no key, a refused key and a refused token end here', async () => {
  expect(await pass(() => found(), { key: null })).toMatchObject({ reached: 0, fault: { kind: 'key-missing' } })
  for (const lookUp of [
    () => ({ ok: false, why: 'blocked' }) as const,
    async () => ({ ok: false, why: 'blocked' }) as const,
  ])
    expect(await pass(lookUp)).toMatchObject({
      reached: 0,
      fault: { kind: 'key-refused', why: 'blocked' },
      principal: null,
    })
  const refuse = async () => Promise.reject(new FaultError({ kind: 'token-refused', why: 'expired' }))
  expect(await pass(refuse)).toMatchObject({ reached: 0, fault: { kind: 'token-refused' } })
})

test.each<[ModelPath, string]>([
  ['chat/completions', 'chat'],
  ['messages/count_tokens', 'messages'],
  ['audio/speech', 'audio'],
  ['tokenize', 'tokenize'],
])('A17 %s is the route %s', async (path, route) => {
  const fault = { kind: 'route-not-permitted', route, permitted: ['models'] }
  expect(await pass(() => found({ routes: ['models'], networks: null }), { path })).toMatchObject({ reached: 0, fault })
})

test('A18 whose key it was is known to the journal although the address is refused', async () => {
  expect(await pass(() => found({ routes: null, networks: [] }))).toMatchObject({
    reached: 0,
    fault: { kind: 'address-not-permitted', from: '10.0.0.5' },
    principal: { id: 'key_1' },
  })
})

test('who left while a token was checked is not waited for', async () => {
  const { reached, error } = await pass(async () => found(), { gone: true })
  expect([reached, error]).toEqual([0, expect.any(ClientGone)])
})
