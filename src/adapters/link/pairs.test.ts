import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { afterEach, expect, test } from 'vitest'
import { ask } from '../../../test/support/in-process-gateway.ts'
import { engine, gateway } from '../../../test/support/gateways.ts'
import { inRelease } from '../../../test/support/releases.ts'
import type { ShadowPair } from '../../domain/serving/index.ts'
import { releaseId, requestId, instant, share, type ReleaseId } from '../../domain/units.ts'
import { newSealKeys, openPairSender, openTexts } from '../../services/shadow/index.ts'
import { pairRoutes, pairsOver, send, socketLine } from './index.ts'

const toClose: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of toClose.splice(0).toReversed()) await close()
})

/** A controller's socket. */
async function controller(onPairs: (release: ReleaseId, pairs: readonly ShadowPair[]) => void) {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-pairs-'))
  const app = Fastify().setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler)
  await app.register(pairRoutes({ onPairs }))
  const path = join(folder, 'socket')
  await app.listen({ path })
  toClose.push(
    () => rm(folder, { recursive: true }),
    () => app.close(),
  )
  return { line: socketLine(path) }
}

const pair: ShadowPair = {
  id: requestId('0190a6f0-0000-7000-8000-000000000001'),
  at: instant(1),
  lengths: { live: 1, candidate: null },
  candidate: { ok: false, status: 502, fault: 'engine-failed', firstTokenMs: null, totalMs: 1.5 },
  sealed: null,
}

test('pairs come as they were sent', async () => {
  const got: unknown[] = []
  const { line } = await controller((release, pairs) => got.push({ release, pairs }))
  await pairsOver(line)(releaseId('r'), [pair, { ...pair, sealed: 'AAAA', lengths: { live: 1, candidate: 2 } }])
  expect(got).toEqual([
    { release: 'r', pairs: [pair, { ...pair, sealed: 'AAAA', lengths: { live: 1, candidate: 2 } }] },
  ])
})

test('what is none is refused, and what the controller can’t take is told to its sender', async () => {
  let taken = 0
  const { line } = await controller(() => {
    taken++
    throw new Error('the release is over')
  })
  const type = 'application/json'
  for (const body of [
    { release: 'r', pairs: [] },
    { release: 'r', pairs: [{ ...pair, sealed: 5 }] },
    { pairs: [pair] },
  ])
    expect((await send(line, '/link/v1/pairs', { type, bytes: JSON.stringify(body) })).status).toBe(400)
  expect(taken).toBe(0)
  await expect(pairsOver(line)(releaseId('r'), [pair])).rejects.toThrow()
})

test('the words of a copied request are readable for the key’s holder, and nowhere on their way or in the journal', async () => {
  const keys = newSealKeys()
  const got = Promise.withResolvers<{ release: ReleaseId; pairs: readonly ShadowPair[] }>()
  const { line } = await controller((release, pairs) => got.resolve({ release, pairs }))
  const sender = openPairSender({ send: pairsOver(line), count: () => {}, onProblem: () => {} })
  const [live, candidate] = [await engine({ echoMessages: true }), await engine({ tokens: 3 })]
  const shadow = { share: share(1), parallel: 1, sealFor: keys.publicKey, without: [] }
  const serving = await gateway({ replicas: [live], ...inRelease([candidate.url], { share: share(0), shadow }) })
  await (await serving.post('/v1/chat/completions', ask('the-canary-words'))).text()
  await expect.poll(() => serving.pairs.length).toBe(1)
  for (const copied of serving.pairs) sender.add(copied)
  const { release, pairs } = await got.promise
  const [first] = pairs
  if (first === undefined) throw new Error('a pair came')
  expect(openTexts(keys.privateKey, { release, pair: first })).toEqual({
    messages: [{ role: 'user', content: 'the-canary-words' }],
    live: expect.stringContaining('the-canary-words'),
    candidate: 'word0 word1 word2',
  })
  for (const told of [JSON.stringify(pairs), JSON.stringify(serving.records)]) {
    expect(told).not.toContain('the-canary-words')
    expect(told).not.toContain(Buffer.from('the-canary-words').toString('base64').slice(2, -4))
  }
})
