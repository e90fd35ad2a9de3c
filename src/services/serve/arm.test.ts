import { describe, expect, test } from 'vitest'
import { engine, gateway } from '../../../test/support/gateways.ts'
import { ask, testAdminKey, testVersion } from '../../../test/support/in-process-gateway.ts'
import { until } from '../../../test/support/settled.ts'
import { changeRelease, inRelease, testCandidate } from '../../../test/support/releases.ts'
import { plainModel } from '../../domain/serving/index.ts'
import { millis, modelName, replicaId, share, versionName } from '../../domain/units.ts'

const chat = '/v1/chat/completions'
const versionOf = (answer: Response): string | null => answer.headers.get('x-holdfast-version')

describe('arms of a release', () => {
  test('a conversation keeps its version, and a share that grows moves none back', async () => {
    const options = inRelease([(await engine()).url], { share: share(0.3) })
    const serving = await gateway({ replicas: [await engine()], ...options })
    const { post, closed } = serving
    const answeredBy = async (): Promise<(string | null)[]> => {
      const answers = Array.from({ length: 40 }, async (_, i) => {
        const answer = await post(chat, ask(`conversation ${i}`))
        await answer.text()
        return versionOf(answer)
      })
      return Promise.all(answers)
    }
    const at30 = await answeredBy()
    expect(await answeredBy()).toEqual(at30)
    expect(new Set(at30)).toEqual(new Set([testVersion, testCandidate]))
    changeRelease(serving, { step: 2, share: share(0.7) })
    const at70 = await answeredBy()
    expect(at70.filter((version, i) => version === testVersion && at30[i] === testCandidate)).toEqual([])
    const count = (all: (string | null)[]): number => all.filter(version => version === testCandidate).length
    expect(count(at70)).toBeGreaterThan(count(at30))
    for (const { release: mark, version } of closed()) {
      expect(mark).toMatchObject({ id: options.model?.release?.id, version })
      expect(mark?.arm).toBe(version === testCandidate ? 'candidate' : 'live')
    }
    expect(new Set(closed().map(({ release: mark }) => mark?.step))).toEqual(new Set([1, 2]))
  })

  test('what was assigned is in the journal as a digest, the same for each turn, and no words of it', async () => {
    const options = inRelease([(await engine()).url], { stick: 'user' })
    const { post, closed, records } = await gateway({ replicas: [await engine()], ...options })
    await post(chat, ask('one', { user: 'anna-canary-name' }))
    await post(chat, ask('two', { user: 'anna-canary-name' }))
    await post(chat, ask('two', { user: 'ben' }))
    const units = closed().map(({ release }) => release?.unit)
    expect(units[0]).toMatch(/^[0-9a-f]{16}$/)
    expect(units[1]).toBe(units[0])
    expect(units[2]).not.toBe(units[0])
    expect(JSON.stringify(records)).not.toContain('anna-canary-name')
  })

  test('by key everything goes one way, by request each its own, and who tells no user sticks by the key', async () => {
    const unitsBy = async (stick: 'key' | 'request' | 'user'): Promise<(string | undefined)[]> => {
      const options = inRelease([(await engine()).url], { stick })
      const { post, closed } = await gateway({ replicas: [await engine()], ...options })
      for (const words of ['a', 'b', 'c']) await post(chat, ask(words))
      return closed().map(({ release }) => release?.unit)
    }
    expect(new Set(await unitsBy('key')).size).toBe(1)
    expect(new Set(await unitsBy('user')).size).toBe(1)
    expect(new Set(await unitsBy('request')).size).toBe(3)
  })

  test('the user that OpenWebUI names counts where the body names none', async () => {
    const options = inRelease([(await engine()).url], { stick: 'user' })
    const { url, closed } = await gateway({ replicas: [await engine()], ...options })
    for (const user of ['u1', 'u2', 'u1']) {
      const headers = {
        'authorization': 'Bearer sk-test-key-of-the-suite',
        'content-type': 'application/json',
        'x-openwebui-user-id': user,
      }
      await fetch(`${url}${chat}`, { method: 'POST', headers, body: JSON.stringify(ask('Hi')) })
    }
    const [first, second, third] = closed().map(({ release }) => release?.unit)
    expect(third).toBe(first)
    expect(second).not.toBe(first)
  })

  test('with room for one, who asks while the versions change places waits for the candidate, which has all traffic', async () => {
    const [old, next] = [await engine(), await engine()]
    const { port } = next
    await next.close()
    const options = inRelease([next.url], {}, { managed: true })
    const serving = await gateway({
      replicas: [{ url: old.url, managed: true }],
      probeEveryMs: 50,
      queue: { waiting: 10, deadlineMs: 20_000 },
      ...options,
    })
    // Its process is gone, and nobody has noticed.
    await old.close()
    const answer = serving.post(chat, ask('Hi'))
    await until('it waits', () => serving.admission.waiting() > 0)
    await engine({ port })
    expect(versionOf(await answer)).toBe(testCandidate)
  })

  test('a retry stays in the arm: another replica of the candidate answers', async () => {
    const broken = await engine({ status: 500 })
    const options = inRelease([broken.url, (await engine()).url])
    const live = await engine()
    const { post, closed } = await gateway({ replicas: [live], ...options })
    for (let i = 0; i < 4; i++) expect(versionOf(await post(chat, ask('Hi')))).toBe(testCandidate)
    expect(broken.state().received).toBeGreaterThan(0)
    expect(live.state().received).toBe(0)
    expect(closed().map(({ outcome }) => outcome)).toEqual(['ok', 'ok', 'ok', 'ok'])
  })

  for (const [what, behaviour] of [
    ['fails', { status: 500 }],
    ['answers nonsense', { garbage: true }],
    ['loads', { loadingMs: 60_000 }],
    ['refuses what the live version takes', { status: 422 }],
    ['has too small a context', { contextLimit: 1 }],
  ] as const) {
    for (const stream of [false, true]) {
      test(`no client sees that the candidate ${what}${stream ? ' (stream)' : ''}: the live version answers, and the mark stays`, async () => {
        const candidate = await engine(behaviour)
        const options = inRelease([candidate.url])
        const { post, closed } = await gateway({ replicas: [await engine()], ...options })
        const answer = await post(chat, ask('one two three', { stream }))
        expect(answer.status).toBe(200)
        expect(await answer.text()).toContain('word0')
        expect(versionOf(answer)).toBe(testVersion)
        expect(closed()).toMatchObject([
          {
            outcome: 'ok',
            attempts: 2,
            version: testVersion,
            replica: 'r0',
            release: { arm: 'candidate', version: testCandidate },
            choice: `${testVersion} for ${testCandidate}: the only one`,
          },
        ])
      })
    }
  }

  test('a whole answer that the candidate breaks off is the live version’s to give', async () => {
    const options = inRelease([(await engine({ cutBody: true })).url])
    const { post, closed } = await gateway({ replicas: [await engine()], ...options })
    expect(versionOf(await post(chat, ask('Hi')))).toBe(testVersion)
    expect(closed()).toMatchObject([{ outcome: 'ok', release: { arm: 'candidate' } }])
  })

  test('a candidate that sends nothing in time is given up for the live version', async () => {
    const options = inRelease([(await engine({ hang: true })).url])
    const { post, closed } = await gateway({
      replicas: [await engine()],
      limits: { firstByte: millis(100) },
      ...options,
    })
    const answer = await post(chat, ask('Hi', { stream: true }))
    expect(await answer.text()).toContain('[DONE]')
    expect(versionOf(answer)).toBe(testVersion)
    expect(closed()).toMatchObject([{ outcome: 'ok', release: { arm: 'candidate' } }])
  })

  test('what a candidate took and does not answer goes to the live version once its health says that it is gone', async () => {
    const candidate = await engine({ hang: true })
    const { post, closed } = await gateway({
      replicas: [await engine()],
      probeEveryMs: 20,
      probeTimeoutMs: 50,
      ...inRelease([candidate.url]),
    })
    const answer = post(chat, ask('Hi'))
    await candidate.until(({ running }) => running === 1)
    candidate.behave({ hangHealth: true })
    expect(versionOf(await answer)).toBe(testVersion)
    expect(closed()).toMatchObject([{ outcome: 'ok', release: { arm: 'candidate' } }])
  })

  test('a candidate without a replica, or that the snapshot lacks, makes nobody wait', async () => {
    for (const urls of [[], null]) {
      const { also, model } = inRelease(urls ?? [])
      const { post, closed } = await gateway({
        replicas: [await engine()],
        ...(model === undefined ? {} : { model }),
        ...(urls === null || also === undefined ? {} : { also }),
      })
      expect(versionOf(await post(chat, ask('Hi')))).toBe(testVersion)
      expect(closed()).toMatchObject([{ version: testVersion, release: { arm: 'candidate', version: testCandidate } }])
    }
  })

  test('what both versions refuse is its client’s to mend, and no failure of the candidate’s', async () => {
    const options = inRelease([(await engine({ status: 422 })).url])
    const { post, closed } = await gateway({ replicas: [await engine({ status: 422 })], ...options })
    expect((await post(chat, ask('Hi'))).status).toBe(422)
    expect(closed()).toMatchObject([
      { outcome: 'refused', version: testCandidate, replica: 'c0', release: { arm: 'candidate' } },
    ])
  })

  test('a stream that the candidate breaks after its first piece ends with an error, as the candidate’s', async () => {
    const options = inRelease([(await engine({ cutAfter: 2 })).url])
    const { post, closed } = await gateway({ replicas: [await engine()], ...options })
    const answer = await post(chat, ask('Hi', { stream: true }))
    expect(await answer.text()).toContain('engine_lost')
    expect(closed()).toMatchObject([
      { outcome: 'failed', version: testCandidate, release: { arm: 'candidate', version: testCandidate } },
    ])
  })

  test('when the live version can’t answer either, other models stand in as ever', async () => {
    const { model, also } = inRelease([(await engine({ status: 500 })).url])
    const general = await engine()
    const other = inRelease([general.url])
    const stand = other.also?.versions[0]
    if (stand === undefined || model === undefined || also === undefined) throw new Error('there is a version')
    const version = { ...stand, name: versionName('dev-v1.0-general-fp16-p1') }
    version.replicas = version.replicas.map(each => ({ ...each, id: replicaId('general-a') }))
    const { post, closed } = await gateway({
      replicas: [await engine({ status: 500 })],
      model: { ...model, fallbacks: [modelName('general')] },
      also: {
        models: [
          {
            ...plainModel,
            name: modelName('general'),
            live: version.name,
            queue: { waiting: 1, deadline: millis(1_000) },
          },
        ],
        versions: [...also.versions, version],
      },
    })
    expect((await post(chat, ask('Hi'))).status).toBe(200)
    expect(closed()).toMatchObject([{ model: 'coder', version: version.name, release: { version: testCandidate } }])
  })

  test('after a rollback the next request is the live version’s, and a stream that runs ends on the candidate', async () => {
    const candidate = await engine({ tokens: 6, gapMs: 30 })
    const options = inRelease([candidate.url])
    const serving = await gateway({ replicas: [await engine()], ...options })
    const { post, closed, untilClosed } = serving
    const running = await post(chat, ask('Hi', { stream: true }))
    expect(versionOf(running)).toBe(testCandidate)
    changeRelease(serving, null)
    expect(versionOf(await post(chat, ask('Hi')))).toBe(testVersion)
    expect(await running.text()).toContain('[DONE]')
    await untilClosed(2)
    expect(closed().map(({ release, outcome }) => [release?.arm, outcome])).toEqual([
      [undefined, 'ok'],
      ['candidate', 'ok'],
    ])
  })

  test('requests that wait for a candidate when it is taken away are answered by the live version', async () => {
    const candidate = await engine({ hang: true })
    const options = inRelease([candidate.url], {}, { places: 1 })
    const serving = await gateway({ replicas: [await engine()], ...options })
    const { post, admission } = serving
    const stuck = new AbortController()
    const hung = post(chat, ask('Hi'), { signal: stuck.signal }).catch(() => null)
    await candidate.until(({ running }) => running === 1)
    const waiting = post(chat, ask('Hi'))
    await expect.poll(() => admission.waiting()).toBe(1)
    changeRelease(serving, null)
    expect(versionOf(await waiting)).toBe(testVersion)
    stuck.abort()
    await hung
  })

  test('a model that is in no release has no mark', async () => {
    const { post, closed } = await gateway({ replicas: [await engine()] })
    await post(chat, ask('Hi'))
    expect(closed()[0]).not.toHaveProperty('release')
  })
})

describe('a version by its own name', () => {
  const byName = (model: string, key = testAdminKey) => ({
    method: 'POST',
    headers: { 'authorization': `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(ask('Hi', { model })),
  })

  test('administrators ask either version, under the name that its engine knows, outside of the release', async () => {
    const candidate = await engine()
    const live = await engine()
    const options = inRelease([candidate.url])
    const { url, closed } = await gateway({ replicas: [live], ...options })
    for (const [version, asked] of [
      [testVersion, live],
      [testCandidate, candidate],
    ] as const) {
      const answer = await fetch(`${url}${chat}`, byName(version))
      expect(versionOf(answer)).toBe(version)
      expect(asked.state().lastRequests[0]?.body).toMatchObject({ model: 'coder' })
    }
    expect(closed()).toMatchObject([
      { model: testVersion, version: testVersion, key: 'admin', choice: 'the only one' },
      { model: testCandidate, version: testCandidate, choice: 'the only one' },
    ])
    for (const record of closed()) expect(record).not.toHaveProperty('release')
  })

  test('nobody stands in for it', async () => {
    const options = inRelease([(await engine({ status: 500 })).url])
    const live = await engine()
    const { url } = await gateway({ replicas: [live], ...options })
    const answer = await fetch(`${url}${chat}`, byName(testCandidate))
    expect(answer.status).toBe(502)
    expect(live.state().received).toBe(0)
  })

  test('for others there is no such model, and none for administrators that the snapshot lacks', async () => {
    const options = inRelease([(await engine()).url])
    const { url, post } = await gateway({ replicas: [await engine()], ...options })
    const refused = await post(chat, ask('Hi', { model: testCandidate }))
    expect(refused.status).toBe(404)
    expect(await refused.json()).toMatchObject({ error: { code: 'model_not_found' } })
    expect((await fetch(`${url}${chat}`, byName('dev-v9.9-fake-fp16-p0'))).status).toBe(404)
  })
})
