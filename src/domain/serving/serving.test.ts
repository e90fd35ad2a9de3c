import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { instant, millis, modelName, replicaId, versionName } from '../units.ts'
import { parseAsk, toEngineBody, type Ask } from './ask.ts'
import { plainModel, unknownCost } from './earlier-snapshot.ts'
import { isUsable, stepHealth, unknownHealth, type Health, type HealthEvent } from './health.ts'
import { pickReplica, type Candidate } from './routing.ts'
import type { ModelRoute, Prompt, VersionRoute } from './snapshot.ts'
import { applySystemPrompt } from './system-prompt.ts'

describe('routing', () => {
  const replica = (name: string, part: Partial<Candidate> = {}) => ({
    name,
    inFlight: 0,
    weight: 1,
    backup: false,
    usable: true,
    ...part,
  })

  test('R1 the usable replica with the fewest requests for its weight is chosen', () => {
    expect(pickReplica([replica('a', { inFlight: 3 }), replica('b', { inFlight: 1 })], 0)?.name).toBe('b')
    expect(pickReplica([replica('a', { inFlight: 3, weight: 4 }), replica('b', { inFlight: 1 })], 0)?.name).toBe('a')
    expect(pickReplica([replica('a', { usable: false }), replica('b', { inFlight: 9 })], 0)?.name).toBe('b')
  })

  test('R2 equals take turns', () => {
    const pair = [replica('a'), replica('b')]
    expect([0, 1, 2, 3].map(turn => pickReplica(pair, turn)?.name)).toEqual(['a', 'b', 'a', 'b'])
  })

  test('R3 a backup is chosen only when no other replica is usable', () => {
    const busy = replica('main', { inFlight: 100 })
    const backup = replica('spare', { backup: true })
    expect(pickReplica([backup, busy], 0)?.name).toBe('main')
    expect(pickReplica([backup, { ...busy, usable: false }], 0)?.name).toBe('spare')
  })

  test('R4 with no usable replica, none is chosen', () => {
    expect(pickReplica([replica('a', { usable: false })], 0)).toBeNull()
    expect(pickReplica([], 7)).toBeNull()
  })

  test('R1 whatever the fleet, nobody with fewer requests for its weight is passed over', () => {
    const candidate = fc.record({
      inFlight: fc.nat(50),
      weight: fc.integer({ min: 1, max: 8 }),
      backup: fc.boolean(),
      usable: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(candidate, { maxLength: 8 }), fc.nat(1000), (fleet, turn) => {
        const picked = pickReplica(fleet, turn)
        const able = fleet.filter(({ usable }) => usable)
        const pool = able.some(({ backup }) => !backup) ? able.filter(({ backup }) => !backup) : able
        if (pool.length === 0) return picked === null
        const load = ({ inFlight, weight }: Candidate): number => (inFlight + 1) / weight
        return picked !== null && pool.includes(picked) && pool.every(other => load(other) >= load(picked))
      }),
    )
  })
})

describe('health', () => {
  const after = (...events: HealthEvent[]): Health =>
    events.reduce((health, event, i) => stepHealth(health, event, instant(i)), unknownHealth)
  const failed: HealthEvent = { kind: 'call-failed', why: 'HTTP 500' }

  test('H1 a replica that was never probed may be given requests', () => {
    expect(isUsable(unknownHealth, instant(0))).toBe(true)
  })

  test('H2 a lost connection takes a replica out at once, and a probe that finds it up brings it back', () => {
    const lost = after({ kind: 'probe-up' }, { kind: 'call-lost', why: 'ECONNRESET' })
    expect(isUsable(lost, instant(10))).toBe(false)
    expect(isUsable(stepHealth(lost, { kind: 'probe-up' }, instant(11)), instant(11))).toBe(true)
  })

  test('H3 three failed calls in a row eject for 1 s, then 2 s, up to 30 s, whatever probes say', () => {
    const ejected = after({ kind: 'probe-up' }, failed, failed, failed, { kind: 'probe-up' })
    expect(isUsable(ejected, instant(900))).toBe(false)
    expect(isUsable(ejected, instant(1_100))).toBe(true)
    let health = ejected
    for (let round = 0; round < 10; round++)
      for (const event of [failed, failed, failed]) health = stepHealth(health, event, instant(0))
    expect(health.ejectedUntil).toBe(30_000)
  })

  test('H3 two failures and an answer eject nobody', () => {
    expect(isUsable(after(failed, failed, { kind: 'call-answered' }, failed, failed), instant(5))).toBe(true)
  })

  test('H4 an answered call clears failures and ejections', () => {
    expect(after(failed, failed, failed, { kind: 'call-answered' })).toEqual({
      state: 'up',
      failures: 0,
      ejections: 0,
      ejectedUntil: null,
      why: null,
    })
  })

  test('H5 a loading replica is given nothing', () => {
    expect(isUsable(after({ kind: 'probe-loading' }), instant(1))).toBe(false)
  })

  test('H6 a failed probe takes a replica out', () => {
    expect(isUsable(after({ kind: 'probe-up' }, { kind: 'probe-failed', why: 'ECONNREFUSED' }), instant(2))).toBe(false)
  })
})

describe('system prompt', () => {
  const prompt = (mode: Prompt['mode'], text = 'Ours.'): Prompt => ({ id: 'p1', text, mode })
  const user = { role: 'user', content: 'Hi', name: 'anna' }
  const theirs = { role: 'system', content: 'Theirs.' }

  test("P1 prepend: one system message first: the version's prompt, a blank line, the client's", () => {
    expect(applySystemPrompt([user, theirs], prompt('prepend'))).toEqual([
      { role: 'system', content: 'Ours.\n\nTheirs.' },
      user,
    ])
    expect(applySystemPrompt([user], prompt('prepend'))).toEqual([{ role: 'system', content: 'Ours.' }, user])
    const parts = {
      role: 'developer',
      content: [
        { type: 'text', text: 'A' },
        { type: 'text', text: 'B' },
      ],
    }
    expect(applySystemPrompt([parts, user], prompt('prepend'))[0]).toEqual({ role: 'system', content: 'Ours.\n\nA\nB' })
  })

  test('P2 default: only when the client sent no system message', () => {
    expect(applySystemPrompt([theirs, user], prompt('default'))).toEqual([theirs, user])
    expect(applySystemPrompt([user], prompt('default'))[0]).toEqual({ role: 'system', content: 'Ours.' })
  })

  test("P3 replace: the version's prompt alone", () => {
    expect(applySystemPrompt([theirs, user], prompt('replace'))).toEqual([{ role: 'system', content: 'Ours.' }, user])
  })

  test('P4 a prompt without text changes nothing', () => {
    for (const mode of ['prepend', 'default', 'replace'] as const)
      expect(applySystemPrompt([theirs, user], prompt(mode, ''))).toEqual([theirs, user])
  })

  test('P5 other messages keep their order and every part, whatever the mode', () => {
    const message = fc.record({
      role: fc.constantFrom('system', 'developer', 'user', 'assistant', 'tool'),
      content: fc.string(),
      extra: fc.nat(),
    })
    fc.assert(
      fc.property(fc.array(message), fc.constantFrom('prepend', 'default', 'replace'), (messages, mode) => {
        const others = (list: readonly { role: string }[]) =>
          list.filter(({ role }) => role !== 'system' && role !== 'developer')
        const applied = applySystemPrompt(messages, prompt(mode as Prompt['mode']))
        expect(others(applied)).toEqual(others(messages))
      }),
    )
  })
})

describe('asks', () => {
  const model: ModelRoute = {
    name: modelName('coder'),
    live: versionName('dev-v1.0-x-awq-p1'),
    queue: { waiting: 1, deadline: millis(1) },
    ...plainModel,
  }
  const version = (part: Partial<VersionRoute> = {}): VersionRoute => ({
    name: model.live,
    engine: 'openai',
    servedName: null,
    task: 'chat',
    sampling: {},
    prompt: { id: 'p1', text: 'Ours.', mode: 'prepend' },
    replicas: [
      {
        id: replicaId('a'),
        address: { url: 'http://127.0.0.1:1/v1' },
        metrics: null,
        apiKey: null,
        backup: false,
        weight: 1,
        places: null,
        managed: false,
      },
    ],
    cost: unknownCost,
    ...part,
  })
  const asked = (path: Ask['path'], body: unknown): Ask => {
    const parsed = parseAsk(path, body)
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.fault))
    return parsed.ask
  }
  const chat = { model: 'coder', messages: [{ role: 'user', content: 'Hi' }] }

  test.each([
    ['chat/completions', [], null],
    ['chat/completions', 'text', null],
    ['chat/completions', {}, 'model'],
    ['chat/completions', { model: 7, messages: [] }, 'model'],
    ['chat/completions', { model: 'm' }, 'messages'],
    ['chat/completions', { model: 'm', messages: [] }, 'messages'],
    ['chat/completions', { model: 'm', messages: ['hi'] }, 'messages'],
    ['chat/completions', { model: 'm', messages: [{ role: 'user', content: 5 }] }, 'messages'],
    ['chat/completions', { ...chat, stream: 'yes' }, 'stream'],
    ['chat/completions', { ...chat, stream_options: [] }, 'stream_options'],
    ['completions', { model: 'm' }, 'prompt'],
    ['embeddings', { model: 'm', input: [] }, 'input'],
  ] as const)('Q1 %s refuses %j, naming %s', (path, body, param) => {
    const parsed = parseAsk(path, body)
    expect(parsed).toMatchObject({ ok: false, fault: { kind: 'request-invalid', param } })
  })

  test('Q1 no JSON value makes it throw', () => {
    fc.assert(fc.property(fc.jsonValue(), body => typeof parseAsk('chat/completions', body).ok === 'boolean'))
  })

  test("Q2 the version's sampling fills what the client left out and overrides nothing", () => {
    const body = toEngineBody(
      asked('chat/completions', { ...chat, temperature: 0 }),
      model,
      version({ sampling: { temperature: 0.2, top_p: 0.9 } }),
    )
    expect(body).toMatchObject({ temperature: 0, top_p: 0.9 })
  })

  test('Q3 system prompts touch chat only', () => {
    expect(toEngineBody(asked('chat/completions', chat), model, version())['messages']).toHaveLength(2)
    expect(toEngineBody(asked('completions', { model: 'coder', prompt: 'Hi' }), model, version())).toEqual({
      model: 'coder',
      prompt: 'Hi',
    })
    expect(
      toEngineBody(
        asked('embeddings', { model: 'coder', input: 'Hi' }),
        model,
        version({ sampling: { temperature: 1 } }),
      ),
    ).toEqual({ model: 'coder', input: 'Hi' })
  })

  test('Q4 usage is always asked of a stream', () => {
    const ask = asked('chat/completions', { ...chat, stream: true, stream_options: { include_obfuscation: false } })
    expect(ask.wantsUsage).toBe(false)
    expect(toEngineBody(ask, model, version())['stream_options']).toEqual({
      include_obfuscation: false,
      include_usage: true,
    })
    expect(toEngineBody(asked('chat/completions', chat), model, version())).not.toHaveProperty('stream_options')
  })

  test('Q5 the engine is asked by its own name for the model, else by the public one', () => {
    expect(toEngineBody(asked('chat/completions', chat), model, version())['model']).toBe('coder')
    expect(toEngineBody(asked('chat/completions', chat), model, version({ servedName: 'qwen' }))['model']).toBe('qwen')
  })
})
