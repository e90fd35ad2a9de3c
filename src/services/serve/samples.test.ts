import { describe, expect, test } from 'vitest'
import { engine, gateway } from '../../../test/support/gateways.ts'
import { ask, testAdminKey, testVersion } from '../../../test/support/in-process-gateway.ts'
import { inRelease, testCandidate } from '../../../test/support/releases.ts'
import type { BehaviourChange } from '../../../tools/fake-engine/index.ts'
import type { QualityRoute } from '../../domain/serving/index.ts'
import { share, teamName } from '../../domain/units.ts'

const chat = '/v1/chat/completions'

async function sampling({
  live = {},
  quality = {},
  team,
  release = {},
}: {
  live?: BehaviourChange
  quality?: Partial<QualityRoute>
  team?: string
  release?: Parameters<typeof inRelease>[1] & { candidate?: never }
} = {}) {
  const answers = await engine({ tokens: 3, ...live })
  const candidate = await engine({ tokens: 5 })
  const shed = { now: false }
  const { model, also } = inRelease([candidate.url], { share: share(0), ...release })
  const serving = await gateway({
    replicas: [{ url: answers.url }],
    ...(also === undefined ? {} : { also }),
    model: { ...model, quality: { share: share(1), sealFor: 'key', without: [], ...quality } },
    ...(team === undefined ? {} : { team }),
    shed: () => shed.now,
  })
  return { ...serving, shed }
}

describe('samples', () => {
  for (const stream of [false, true]) {
    test(`are what a client asked and got, and which version answered${stream ? ' (stream)' : ''}`, async () => {
      const { post, sampled, records, pairs } = await sampling()
      const answer = await post(chat, ask('What is it?', { stream }))
      await answer.text()
      await expect.poll(() => sampled.length).toBe(1)
      expect(sampled).toEqual([
        {
          sealFor: 'key',
          sample: { id: answer.headers.get('x-request-id'), model: 'coder', version: testVersion },
          texts: { messages: [{ role: 'user', content: 'What is it?' }], answer: 'word0 word1 word2' },
        },
      ])
      expect(records.map(({ t }) => t)).toEqual(['open', 'close'])
      expect(pairs).toEqual([])
    })
  }

  test('of a candidate’s answers bear its name', async () => {
    const { post, sampled } = await sampling({ release: { share: share(1) } })
    await (await post(chat, ask('Hi'))).text()
    await expect.poll(() => sampled.length).toBe(1)
    expect(sampled[0]).toMatchObject({
      sample: { version: testCandidate },
      texts: { answer: expect.stringMatching(/word4$/) },
    })
  })

  test('are taken of requests that are copied to a candidate too, and both are told', async () => {
    const shadow = { share: share(1), parallel: 4, sealFor: 'other key', without: [] }
    const { post, sampled, pairs } = await sampling({ release: { shadow } })
    await (await post(chat, ask('Hi'))).text()
    await expect.poll(() => [sampled.length, pairs.length]).toEqual([1, 1])
    expect(pairs[0]?.texts).toMatchObject({ live: 'word0 word1 word2', candidate: expect.stringMatching(/word4$/) })
    expect(sampled[0]?.texts.answer).toBe('word0 word1 word2')
  })

  test('are never taken of administrators, of teams that opted out, of tools, of what failed, or when memory is short', async () => {
    const asAdmin = { headers: { 'authorization': `Bearer ${testAdminKey}`, 'content-type': 'application/json' } }
    const plain = await sampling()
    await (await plain.post(chat, ask('Hi'), asAdmin)).text()
    const tools = [{ type: 'function', function: { name: 'delete_all' } }]
    await (await plain.post(chat, ask('Hi', { tools }))).text()
    await (await plain.post(chat, ask('x'.repeat(70_000)))).text()
    const out = await sampling({ team: 'legal', quality: { without: [teamName('legal')] } })
    await (await out.post(chat, ask('Hi'))).text()
    const failing = await sampling({ live: { status: 500 } })
    await (await failing.post(chat, ask('Hi'))).text()
    const short = await sampling()
    const streamed = await short.post(chat, ask('Hi [[fake:gapMs=20]]', { stream: true }))
    short.shed.now = true
    await streamed.text()
    // Their ends are told before the next one’s.
    await (await plain.post(chat, ask('This one'))).text()
    await expect.poll(() => plain.sampled.length).toBe(1)
    expect(plain.sampled[0]?.texts.messages).toEqual([{ role: 'user', content: 'This one' }])
    await Promise.all([out, failing, short].map(({ untilClosed }) => untilClosed(1)))
    expect([out, failing, short].map(({ sampled }) => sampled.length)).toEqual([0, 0, 0])
  })

  test('are a part of all answers', async () => {
    const { post, sampled, untilClosed } = await sampling({ quality: { share: share(0.5) } })
    for (let n = 0; n < 60; n++) await (await post(chat, ask(`Hi ${n}`))).text()
    await untilClosed(60)
    // 0.5 of 60: fewer than 10 or more than 50 come once in ten million runs.
    expect(sampled.length).toBeGreaterThanOrEqual(10)
    expect(sampled.length).toBeLessThanOrEqual(50)
  })
})
