import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { millis, modelName, replicaId, versionName } from '../units.ts'
import { parseAsk, toEngineBody, type Ask } from './ask.ts'
import { plainModel, unknownCost } from './earlier-snapshot.ts'
import type { ModelRoute, Prompt, VersionRoute } from './snapshot.ts'
import { applySystemPrompt } from './system-prompt.ts'

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
