import { describe, expect, test } from 'vitest'
import { engine, gateway } from '../../../test/support/gateways.ts'
import { ask, testAdminKey, testVersion } from '../../../test/support/in-process-gateway.ts'
import { changeRelease, inRelease, testCandidate } from '../../../test/support/releases.ts'
import type { ShadowRoute } from '../../domain/serving/index.ts'
import { share, teamName } from '../../domain/units.ts'
import type { BehaviourChange } from '../../../tools/fake-engine/index.ts'

const chat = '/v1/chat/completions'

/** `coder` with a candidate that has no traffic of its own, and copies of all requests. */
async function shadowing({
  live = {},
  candidate = {},
  shadow = {},
  team,
  places,
}: {
  live?: BehaviourChange
  candidate?: BehaviourChange
  shadow?: Partial<ShadowRoute>
  team?: string
  places?: number
} = {}) {
  const answers = await engine(live)
  const copies = await engine(candidate)
  const route: ShadowRoute = { share: share(1), parallel: 4, sealFor: 'key', without: [], ...shadow }
  const shed = { now: false }
  const serving = await gateway({
    replicas: [{ url: answers.url, places: places ?? null }],
    ...inRelease([copies.url], { share: share(0), shadow: route }, { places: places ?? null }),
    ...(team === undefined ? {} : { team }),
    shed: () => shed.now,
  })
  const settled = (count: number) =>
    expect.poll(() => serving.pairs.length + serving.shadowed.length, { timeout: 5_000 }).toBe(count)
  return { ...serving, serving, answers, copies, settled, shed }
}

describe('shadow', () => {
  for (const stream of [false, true]) {
    test(`both answers of one request make a pair, with its words and how the candidate did${stream ? ' (stream)' : ''}`, async () => {
      const { post, pairs, settled, closed, copies } = await shadowing({
        live: { tokens: 3 },
        candidate: { tokens: 5, firstMs: 5 },
      })
      const answer = await post(chat, ask('What is it?', { stream, seed: 7, temperature: 0.5, user: 'anna' }))
      expect(answer.headers.get('x-holdfast-version')).toBe(testVersion)
      expect(await answer.text()).not.toContain('word3')
      await settled(1)
      expect(pairs).toMatchObject([
        {
          model: 'coder',
          sealFor: 'key',
          pair: {
            id: answer.headers.get('x-request-id'),
            candidate: { ok: true, status: 200, fault: null },
            lengths: { live: 'word0 word1 word2'.length },
          },
          texts: {
            messages: [{ role: 'user', content: 'What is it?' }],
            live: 'word0 word1 word2',
            candidate: 'word0 word1 word2 word3 word4',
          },
        },
      ])
      const { firstTokenMs, totalMs } = pairs[0]?.pair.candidate ?? {}
      expect(totalMs).toBeGreaterThanOrEqual(5)
      if (stream) expect(firstTokenMs).toBeGreaterThanOrEqual(5)
      else expect(firstTokenMs).toBeNull()
      expect(copies.state().lastRequests[0]?.body).toMatchObject({ model: 'coder', seed: 7, temperature: 0.5, stream })
      expect(closed()).toMatchObject([{ version: testVersion, release: { arm: 'live' } }])
    })
  }

  test('the candidate is not asked before the answer is out', async () => {
    const { post, copies, settled } = await shadowing({ live: { tokens: 4, gapMs: 20 } })
    const answer = await post(chat, ask('Hi', { stream: true }))
    const reader = answer.body?.getReader()
    for (;;) {
      const piece = await reader?.read()
      if (piece === undefined || piece.done) break
      if (!Buffer.from(piece.value).toString().includes('[DONE]')) expect(copies.state().received).toBe(0)
    }
    await settled(1)
    expect(copies.state().received).toBe(1)
  })

  test('nothing is counted or recorded of a copy but the pair', async () => {
    const { post, settled, records, gate, pairs } = await shadowing()
    await (await post(chat, ask('Hi'))).text()
    await settled(1)
    expect(records.map(({ t }) => t)).toEqual(['open', 'close'])
    expect(gate.inFlight).toBe(0)
    expect(pairs).toHaveLength(1)
  })

  test('a client of another dialect is copied in OpenAI’s words', async () => {
    const { post, pairs, settled } = await shadowing({ live: { tokens: 2 }, candidate: { tokens: 2 } })
    const body = { model: 'coder', max_tokens: 20, stream: true, messages: [{ role: 'user', content: 'Hi' }] }
    await (await post('/v1/messages', body)).text()
    await settled(1)
    expect(pairs).toMatchObject([{ texts: { live: 'word0 word1', candidate: 'word0 word1' } }])
  })

  test('requests with tools, of administrators, of teams that opted out, or that failed, are never copied', async () => {
    const tools = [{ type: 'function', function: { name: 'delete_all' } }]
    const plain = await shadowing()
    await (await plain.post(chat, ask('Hi', { tools }))).text()
    const asAdmin = { headers: { 'authorization': `Bearer ${testAdminKey}`, 'content-type': 'application/json' } }
    await (await plain.post(chat, ask('Hi'), asAdmin)).text()
    const out = await shadowing({ team: 'legal', shadow: { without: [teamName('legal')] } })
    await (await out.post(chat, ask('Hi'))).text()
    const failing = await shadowing({ live: { status: 500 } })
    await (await failing.post(chat, ask('Hi'))).text()
    // The next one is copied, and comes after anything that those before it would have begun.
    await (await plain.post(chat, ask('Hi'))).text()
    await plain.settled(1)
    expect(plain.copies.state().received).toBe(1)
    expect([out, failing].map(({ copies }) => copies.state().received)).toEqual([0, 0])
    expect([...out.shadowed, ...failing.shadowed]).toEqual([])
  })

  test('a share of them is copied, and which ones does not hang on the arm', async () => {
    const { post, copies, pairs } = await shadowing({ shadow: { share: share(0.5), parallel: 100 } })
    for (let i = 0; i < 40; i++) await (await post(chat, ask(`Hi ${i}`))).text()
    await expect.poll(() => copies.state().finished === pairs.length && pairs.length).toBeGreaterThan(5)
    expect(pairs.length).toBeLessThan(35)
  })

  test('a candidate that fails is evidence without texts', async () => {
    const { post, pairs, settled, closed } = await shadowing({ candidate: { status: 500 } })
    expect((await post(chat, ask('Hi'))).status).toBe(200)
    await settled(1)
    expect(pairs).toMatchObject([
      {
        pair: { candidate: { ok: false, status: 502, fault: 'engine-failed' }, lengths: { candidate: null } },
        texts: null,
      },
    ])
    expect(closed()).toMatchObject([{ outcome: 'ok' }])
  })

  test('only so many copies run at once', async () => {
    const { post, copies, shadowed, settled } = await shadowing({
      candidate: { tokens: 2, firstMs: 300 },
      shadow: { parallel: 1 },
    })
    await (await post(chat, ask('Hi'))).text()
    await copies.until(({ running }) => running === 1)
    await (await post(chat, ask('Hi'))).text()
    await settled(2)
    expect(shadowed).toEqual([['coder', 'busy']])
    expect(copies.state().received).toBe(1)
  })

  test('a copy that runs makes way for those who wait for an engine, and none begins meanwhile', async () => {
    const { post, answers, copies, shadowed, settled, admission } = await shadowing({
      candidate: { hang: true },
      places: 1,
    })
    await (await post(chat, ask('Hi'))).text()
    await copies.until(({ running }) => running === 1)
    answers.behave({ firstMs: 600 })
    const both = [post(chat, ask('Hi')), post(chat, ask('Hi'))]
    await expect.poll(() => admission.waiting()).toBe(1)
    await settled(1)
    expect(shadowed).toEqual([['coder', 'shed']])
    await copies.until(({ running }) => running === 0)
    for (const answer of both) expect((await answer).status).toBe(200)
  })

  test('without memory to spare there are no copies', async () => {
    const { post, copies, shadowed, settled, shed, answers } = await shadowing({ live: { firstMs: 50 } })
    const answer = post(chat, ask('Hi'))
    await answers.until(({ running }) => running === 1)
    shed.now = true
    expect((await answer).status).toBe(200)
    await settled(1)
    expect(shadowed).toEqual([['coder', 'shed']])
    expect(copies.state().received).toBe(0)
  })

  test('what is too long to be compared is counted, and not sent', async () => {
    const long = await shadowing({ candidate: { tokens: 20_000 } })
    await (await long.post(chat, ask('Hi'))).text()
    await long.settled(1)
    expect(long.shadowed).toEqual([['coder', 'too-long']])
    const asked = await shadowing()
    await (await asked.post(chat, ask('word '.repeat(20_000)))).text()
    await asked.settled(1)
    expect(asked.shadowed).toEqual([['coder', 'too-long']])
    expect(asked.copies.state().received).toBe(0)
  })

  test('after a rollback nothing more is copied, also of what was under way', async () => {
    const { post, serving, copies, answers, pairs, shadowed, untilClosed } = await shadowing({ live: { firstMs: 50 } })
    const answer = post(chat, ask('Hi'))
    await answers.until(({ running }) => running === 1)
    changeRelease(serving, null)
    expect((await answer).status).toBe(200)
    await untilClosed(1)
    expect(copies.state().received).toBe(0)
    expect([...pairs, ...shadowed]).toEqual([])
  })

  test('the candidate answers no client meanwhile', async () => {
    const { post, settled, snapshot } = await shadowing()
    const versions = new Set<string | null>()
    for (let i = 0; i < 5; i++) {
      const answer = await post(chat, ask(`Hi ${i}`))
      await answer.text()
      versions.add(answer.headers.get('x-holdfast-version'))
    }
    await settled(5)
    expect(versions).toEqual(new Set([testVersion]))
    expect(snapshot().versions.map(({ name }) => name)).toContain(testCandidate)
  })
})
