import { describe, expect, test } from 'vitest'
import { engine, gateway } from '../../../test/support/gateways.ts'
import { ask } from '../../../test/support/in-process-gateway.ts'
import { plainModel, unknownCost, type ModelRoute, type VersionRoute } from '../../domain/serving/index.ts'
import { millis, modelName, replicaId, versionName } from '../../domain/units.ts'

const chat = '/v1/chat/completions'

/** A model that may stand in for `coder`. */
function another(name: string, url: string): { models: ModelRoute[]; versions: VersionRoute[] } {
  const live = versionName(`dev-v1.0-${name}-fp16-p1`)
  const model: ModelRoute = {
    ...plainModel,
    name: modelName(name),
    live,
    queue: { waiting: 10, deadline: millis(2_000) },
  }
  const version: VersionRoute = {
    name: live,
    engine: 'openai',
    servedName: null,
    task: 'chat',
    sampling: {},
    cost: unknownCost,
    prompt: { id: 'p1', text: '', mode: 'prepend' },
    replicas: [
      {
        id: replicaId(`${name}-a`),
        address: { url: `${url}/v1` },
        metrics: null,
        apiKey: null,
        backup: false,
        weight: 1,
        places: null,
        managed: false,
      },
    ],
  }
  return { models: [model], versions: [version] }
}

const fallsBackOn = (name: string): Partial<ModelRoute> => ({ fallbacks: [modelName(name)] })

describe('models that stand in', () => {
  test('a model without a replica is answered by the next one, which is asked by its own name and is told', async () => {
    const general = await engine()
    const { post, closed } = await gateway({
      replicas: [],
      model: fallsBackOn('general'),
      also: another('general', general.url),
    })
    const answer = await post(chat, ask('Hi'))
    expect(answer.status).toBe(200)
    expect(answer.headers.get('x-holdfast-version')).toBe('dev-v1.0-general-fp16-p1')
    expect(answer.headers.get('x-holdfast-replica')).toBe('general-a')
    expect(general.state().lastRequests[0]?.body).toMatchObject({ model: 'general' })
    expect(closed()).toMatchObject([
      { model: 'coder', version: 'dev-v1.0-general-fp16-p1', choice: 'general for coder: the only one' },
    ])
  })

  test('so is one whose engines all fail, before the first byte', async () => {
    const coder = await engine({ status: 500 })
    const general = await engine()
    const { post } = await gateway({
      replicas: [coder],
      model: fallsBackOn('general'),
      also: another('general', general.url),
    })
    const answer = await post(chat, ask('Hi', { stream: true }))
    expect(await answer.text()).toContain('[DONE]')
    expect(answer.headers.get('x-holdfast-attempts')).toBe('2')
  })

  test('a request that is too long goes to a model that takes more, and to no other', async () => {
    const coder = await engine({ contextLimit: 5 })
    const long = await engine()
    const words = ask('one two three four five six seven eight nine ten')
    const with_ = (model: Partial<ModelRoute>) => gateway({ replicas: [coder], model, also: another('long', long.url) })
    const { post } = await with_({ contextFallbacks: [modelName('long')] })
    expect((await post(chat, words)).headers.get('x-holdfast-version')).toBe('dev-v1.0-long-fp16-p1')
    const other = await with_(fallsBackOn('long'))
    const refused = await other.post(chat, words)
    expect(refused.status).toBe(400)
    expect(await refused.json()).toMatchObject({ error: { code: 'context_length_exceeded' } })
  })

  test('what a client did wrong is its own to mend: nobody else is asked', async () => {
    const coder = await engine({ status: 422 })
    const general = await engine()
    const { post } = await gateway({
      replicas: [coder],
      model: fallsBackOn('general'),
      also: another('general', general.url),
    })
    expect((await post(chat, ask('Hi'))).status).toBe(422)
    expect(general.state().received).toBe(0)
  })

  test('when those that stand in fail too, the fault is that of the model that was asked for', async () => {
    const general = await engine({ status: 500 })
    const { post } = await gateway({
      replicas: [],
      model: fallsBackOn('general'),
      also: another('general', general.url),
    })
    const answer = await post(chat, ask('Hi'))
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({ error: { code: 'no_replica' } })
  })

  test('a model that the caller may not use does not stand in', async () => {
    const general = await engine()
    const { post } = await gateway({
      replicas: [],
      model: fallsBackOn('general'),
      also: another('general', general.url),
      mayUse: ({ name }) => name !== 'general',
    })
    expect((await post(chat, ask('Hi'))).status).toBe(503)
    expect(general.state().received).toBe(0)
  })
})

describe('places', () => {
  test('an engine is given as many as it runs at once; the others wait, in the order of who had least', async () => {
    const fake = await engine({ hang: true })
    const { post, admission, fleet } = await gateway({ replicas: [{ url: fake.url, places: 2 }] })
    const answers = Array.from({ length: 4 }, () => post(chat, ask('Hi')))
    await fake.until(({ running }) => running === 2)
    await expect.poll(() => admission.waiting()).toBe(2)
    expect(fleet.replicas()[0]?.inFlight).toBe(2)
    await fake.die()
    const all = await Promise.all(answers)
    expect(all.map(({ status }) => status).every(status => status === 502 || status === 503)).toBe(true)
    expect(admission.waiting()).toBe(0)
  })

  test('a queue that is full refuses at once and says when to come back', async () => {
    const fake = await engine({ hang: true })
    const { post, admission } = await gateway({
      replicas: [{ url: fake.url, places: 1 }],
      queue: { waiting: 1, deadlineMs: 60_000 },
    })
    void post(chat, ask('Hi')).catch(() => {})
    await fake.until(({ running }) => running === 1)
    void post(chat, ask('Hi')).catch(() => {})
    await expect.poll(() => admission.waiting()).toBe(1)
    const answer = await post(chat, ask('Hi'))
    expect(answer.status).toBe(503)
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await answer.json()).toMatchObject({ error: { code: 'queue_full', param: 'model' } })
  })

  test('whose turn does not come in time is told its place', async () => {
    const fake = await engine({ hang: true })
    const { post, closed, untilClosed } = await gateway({
      replicas: [{ url: fake.url, places: 1 }],
      queue: { waiting: 5, deadlineMs: 50 },
    })
    void post(chat, ask('Hi')).catch(() => {})
    await fake.until(({ running }) => running === 1)
    const answer = await post(chat, ask('Hi'))
    expect(answer.status).toBe(503)
    expect(answer.headers.get('x-holdfast-queue-place')).toBe('1')
    expect(await answer.json()).toMatchObject({ error: { code: 'queue_timeout' } })
    await untilClosed(1)
    expect(closed()).toMatchObject([{ fault: 'queue-late', attempts: 0 }])
  })

  test('how long a request waited is in the journal', async () => {
    const fake = await engine({ tokens: 3, gapMs: 20 })
    const { post, untilClosed } = await gateway({ replicas: [{ url: fake.url, places: 1 }] })
    await Promise.all([post(chat, ask('Hi')), post(chat, ask('Hi'))])
    const waits = (await untilClosed(2)).map(({ waitedMs }) => waitedMs)
    expect(waits.filter(wait => wait === null)).toHaveLength(1)
    expect(Math.max(...waits.map(Number))).toBeGreaterThan(0)
  })
})

describe('a replica that is given up', () => {
  test('its requests without a byte go to another one, and a stream under way keeps its connection', async () => {
    const hung = await engine({ hang: true })
    const { post, fleet, closed } = await gateway({ replicas: [{ url: hung.url }, { url: hung.url, backup: true }] })
    const well = await engine()
    const waiting = post(chat, ask('Hi'))
    await hung.until(({ running }) => running === 1)
    const [first, second] = fleet.replicas()
    if (first === undefined || second === undefined) throw new Error('two replicas')
    Object.assign(second.target, { address: { url: `${well.url}/v1` } })
    fleet.probed(first, { state: 'failed', why: 'it makes no progress' })
    const answer = await waiting
    expect(answer.status).toBe(200)
    expect(answer.headers.get('x-holdfast-attempts')).toBe('2')
    expect(closed()).toMatchObject([{ replica: 'r1', choice: 'backup: no other is usable' }])
    await hung.until(({ running, aborted }) => running === 0 && aborted === 1)
  })

  test('with nobody else to ask, its requests wait for it', async () => {
    const slow = await engine({ firstMs: 100 })
    const { post, fleet } = await gateway({ replicas: [{ url: slow.url }] })
    const waiting = post(chat, ask('Hi'))
    await slow.until(({ running }) => running === 1)
    const [only] = fleet.replicas()
    if (only === undefined) throw new Error('one replica')
    fleet.probed(only, { state: 'failed', why: 'late' })
    expect((await waiting).status).toBe(200)
  })
})

test('conversations stick to their replica', async () => {
  const engines = [await engine(), await engine(), await engine()]
  const { post } = await gateway({ replicas: engines, model: { routing: 'sticky' } })
  const replicaOf = async (conversation: string) => {
    const answer = await post(chat, ask('Hi'), {
      headers: {
        'authorization': 'Bearer sk-test-key-of-the-suite',
        'content-type': 'application/json',
        'x-holdfast-conversation': conversation,
      },
    })
    return answer.headers.get('x-holdfast-replica')
  }
  const names = Array.from({ length: 12 }, (_, i) => `conversation-${i}`)
  const first = []
  for (const name of names) first.push(await replicaOf(name))
  const second = []
  for (const name of names) second.push(await replicaOf(name))
  expect(second).toEqual(first)
  expect(new Set(first).size).toBe(3)
})

test('prompts that begin alike meet on one replica', async () => {
  const engines = [await engine(), await engine(), await engine()]
  const { post } = await gateway({ replicas: engines, model: { routing: 'prefix-affinity' } })
  const replicaOf = async (text: string) => (await post(chat, ask(text))).headers.get('x-holdfast-replica')
  for (const topic of ['maps', 'law', 'music', 'bread']) {
    const prefix = `${topic} `.repeat(300)
    const replicas = new Set<string | null>()
    for (let i = 0; i < 5; i++) replicas.add(await replicaOf(`${prefix} question ${i}`))
    expect(replicas.size).toBe(1)
  }
})
