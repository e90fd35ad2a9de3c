/** What conversations are tried on: a check for each feature, the same for every client, dialect and engine. */
import { expect } from 'vitest'
import { until } from '../support/settled.ts'
import type { FakeEngine } from '../../tools/fake-engine/index.ts'
import { fieldOf, type Access, type Heard, type Problem, type Question, type Speaker, type Tool } from './speaker.ts'
import type { Conversing, Engine, Limit } from './table.ts'

/** One cell's ground: who speaks, to which engine, and how to see what the engine does. */
export type Ground = {
  speaker: Speaker
  access: Access
  engine: Engine
  /** `null`: a real program. */
  fake: FakeEngine | null
  /** Makes the client leave an answer, and fails unless the engine's work on it stops unfinished. */
  expectAbandoned: (leave: () => Promise<void>) => Promise<void>
  /** The class that this client throws for a status. */
  typeFor: (what: keyof Types) => string
}

/** The exceptions of a client, by what went wrong. */
export type Types = Record<'unknown model' | 'wrong key' | 'context exceeded' | 'engine down' | 'broken stream', string>

/** A white square of one pixel. */
const picture =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=='

const parameters = {
  type: 'object',
  properties: { city: { type: 'string', enum: ['Oslo', 'Paris'] } },
  required: ['city'],
  additionalProperties: false,
}
const tools: readonly Tool[] = [
  { name: 'weather', description: 'The weather of a city.', parameters },
  { name: 'clock', description: 'The time in a city.', parameters },
]
const schema = {
  type: 'object',
  properties: { city: { type: 'string', enum: ['Paris', 'Oslo'] }, people: { type: 'integer' } },
  required: ['city', 'people'],
  additionalProperties: false,
}
/** Takes more tokens than there are: the answer ends only when its client leaves. Some clients drop bounds such as `minItems`. */
const names = Array.from({ length: 100 }, (_, index) => `name${index}`)
const endless = {
  type: 'object',
  properties: Object.fromEntries(names.map(name => [name, { type: 'string', enum: ['Oslo', 'Paris'] }])),
  required: names,
  additionalProperties: false,
}
const words = ['word0', ' word1', ' word2']

/** A fake is told what to do in the prompt; a real model is asked what it knows. */
export function saying({ fake }: Pick<Ground, 'fake'>, directive = 'tokens=3', more = ''): string {
  return fake === null ? `What is the capital of France?${more}` : `Tell me. [[fake:${directive}]]${more}`
}

export const conversingChecks: { readonly [F in Conversing]: (ground: Ground) => Promise<void> } = {
  async 'answer'(ground) {
    const heard = await ask(ground, { text: saying(ground) })
    expectSaid(ground, heard)
    if (ground.fake === null) expect(heard.text).toContain('Paris')
    const sent = sentMessages(ground)
    if (sent !== null)
      expect(sent.map(message => [fieldOf(message, 'role'), fieldOf(message, 'content')])).toEqual([
        // That template's names are known; behind any address there may be OpenAI's own.
        [
          ground.engine.kind === 'openai' ? (expect.stringMatching(/^(system|developer)$/) as string) : 'system',
          'Be brief.',
        ],
        ['user', expect.anything()],
      ])
  },

  async 'streaming'(ground) {
    const heard = await stream(ground, { text: saying(ground) })
    expectSaid(ground, heard)
    if (ground.fake === null) expect(heard.text).toContain('Paris')
    expect(heard.pieces).toBeGreaterThanOrEqual(words.length)
  },

  async 'length'(ground) {
    for (const heard of await both(ground, { text: saying(ground, 'tokens=9'), maxTokens: 3 })) {
      expect(heard.finish).toBe('length')
      if (ground.fake !== null) expect(heard.text).toBe(words.join(''))
    }
  },

  async 'tools forced'(ground) {
    for (const heard of await both(ground, { text: saying(ground), tools, force: 'clock' })) {
      expect(heard.calls.map(({ name }) => name)).toEqual(['clock'])
      expectCall(heard, 0)
      expect(heard.finish).toBe('tools')
    }
  },

  async 'tools auto'(ground) {
    for (const heard of await both(ground, { text: saying(ground, 'callTools=2'), tools })) expectTwoCalls(heard)
  },

  async 'tool results'(ground) {
    const first = await callsOf(ground)
    const outputs = first.calls.map(({ name }) => `${name} says fine`)
    const question = { text: saying(ground, 'tokens=3,callTools=2'), tools, results: { of: first, outputs } }
    for (const heard of await both(ground, question)) expectSaid(ground, heard)
    const sent = sentMessages(ground)
    if (sent === null) return
    const calling = sent.find(message => fieldOf(message, 'role') === 'assistant')
    const ids = listOf(fieldOf(calling, 'tool_calls')).map(call => fieldOf(call, 'id'))
    const results = sent.filter(message => fieldOf(message, 'role') === 'tool')
    expect(ids).toHaveLength(outputs.length)
    expect(results.map(result => fieldOf(result, 'tool_call_id'))).toEqual(ids)
    expect(results.map(result => textIn(fieldOf(result, 'content')))).toEqual(outputs)
  },

  async 'JSON schema'(ground) {
    for (const { text, finish } of await both(ground, { text: saying(ground), schema })) {
      expect(JSON.parse(text)).toEqual({
        city: expect.stringMatching(/^(Paris|Oslo)$/) as string,
        people: expect.any(Number) as number,
      })
      expect(finish).toBe('stop')
    }
  },

  async 'images'(ground) {
    const before = ground.fake?.state().images ?? 0
    expectSaid(ground, await ask(ground, { text: saying(ground), image: picture }))
    expect(ground.fake?.state().images).toBe(before + 1)
    const content = fieldOf(sentMessages(ground)?.at(-1), 'content')
    const part = listOf(content).find(one => fieldOf(one, 'type') === 'image_url')
    expect(fieldOf(fieldOf(part, 'image_url'), 'url')).toBe(picture)
  },

  async 'reasoning'(ground) {
    for (const heard of await both(ground, { text: saying(ground, 'reasoning=2,tokens=3') })) {
      expect(heard.thought).toBe('think0 think1')
      expectSaid(ground, heard)
    }
  },

  async 'usage'(ground) {
    for (const { usage } of await both(ground, { text: saying(ground) })) {
      expect(usage?.input).toBeGreaterThan(3)
      if (ground.fake === null) expect(usage?.output).toBeGreaterThan(1)
      else expect(usage?.output).toBe(words.length)
    }
  },

  async 'unknown model'(ground) {
    const problem = await refused(ground, { access: { ...ground.access, model: 'nobody' } })
    expect(problem.type).toBe(ground.typeFor('unknown model'))
    expect(problem.message).toMatch(/No model is named 'nobody'\. This key may use: .*vllm/)
  },

  async 'wrong key'(ground) {
    const problem = await refused(ground, { access: { ...ground.access, key: 'sk-stranger-stranger-stranger' } })
    expect(problem.type).toBe(ground.typeFor('wrong key'))
    expect(problem.message).toContain('holdfast key create')
  },

  async 'context exceeded'(ground) {
    const problem = await refused(ground, { question: tooLong(ground) })
    expect(problem.type).toBe(ground.typeFor('context exceeded'))
    expect(problem.message).toMatch(/needs \d+ tokens.*context length is \d+ tokens.* Shorten the input/)
  },

  async 'engine down'(ground) {
    const problem = await refused(ground, { access: { ...ground.access, model: `${ground.access.model}-down` } })
    expect(problem.type).toBe(ground.typeFor('engine down'))
    expect(problem.message).toMatch(/No engine can answer for .*-down.*Try again/)
  },

  async 'broken stream'(ground) {
    const question = { text: saying(ground, 'tokens=9,errorMidStream=3') }
    const problem = await problemIn(ground, () => stream(ground, question))
    expect(problem.type).toBe(ground.typeFor('broken stream'))
    expect(problem.message).toMatch(/was told to fail here|engine stopped after \d+ bytes of this answer/)
    // One that hangs up is left out until a probe finds it up.
    await until('it is asked again', () =>
      ask(ground, { text: saying(ground) }).then(
        () => true,
        () => false,
      ),
    )
  },

  async 'cancel'(ground) {
    const question =
      ground.fake === null
        ? { text: saying(ground), schema: endless, maxTokens: 440 }
        : { text: saying(ground, 'tokens=2000,gapMs=5') }
    await ground.expectAbandoned(async () => {
      const leaving = new AbortController()
      const leave = { signal: leaving.signal, onPiece: () => leaving.abort() }
      await expect(ground.speaker.stream(ground.access, question, leave)).rejects.toThrow(/./)
      expect(leaving.signal.aborted).toBe(true)
    })
  },
}

/** The same features where they turn out otherwise. */
export const limitChecks: { readonly [L in Exclude<Limit, 'passed-on'>]: (ground: Ground) => Promise<void> } = {
  async 'thought-in-text'(ground) {
    for (const heard of await both(ground, { text: saying(ground, 'reasoning=2,tokens=3') })) {
      expect(heard.thought).toBe('')
      expect(heard.text).toBe(`<think>\nthink0 think1\n</think>\n\n${words.join('')}`)
    }
  },
  'thought-untold': untoldThought,
  'no-thought': untoldThought,
  'no-own-calls': ground => answersInWords(ground, {}),
  'no-tool-template': ground => answersInWords(ground, { force: 'clock' }),
  async 'cut-unsaid'(ground) {
    expectSaid(ground, await ask(ground, tooLong(ground)))
  },
}

async function untoldThought(ground: Ground): Promise<void> {
  for (const heard of await both(ground, { text: saying(ground, 'reasoning=2,tokens=3') })) {
    expect(heard.thought).toBe('')
    expectSaid(ground, heard)
  }
}

async function answersInWords(ground: Ground, more: { force?: string }): Promise<void> {
  for (const speak of [ask, stream]) {
    const question = { text: saying(ground, 'tokens=3,callTools=2'), tools, ...more }
    const heard = await speak(ground, question).catch((error: unknown) => {
      // The AI SDK holds answers to what it asked for.
      expect(ground.speaker.problem(error).type).toMatch(/ToolChoiceViolation/)
      return null
    })
    if (heard !== null) expectSaid(ground, heard)
  }
}

/** Engines' flaws, which the client must not notice. */
export async function quirkCheck(ground: Ground, quirk: string): Promise<void> {
  if (quirk === 'noUsage') {
    const { usage } = await stream(ground, { text: saying(ground, 'tokens=3,noUsage') })
    expect(usage?.output).toBeGreaterThan(0)
    return
  }
  if (quirk === 'oldReasoning') {
    for (const heard of await both(ground, { text: saying(ground, 'oldReasoning,reasoning=2,tokens=3') }))
      expect([heard.thought, heard.text]).toEqual(['think0 think1', words.join('')])
    return
  }
  for (const heard of await both(ground, { text: saying(ground, `callTools=2,${quirk}`), tools })) expectTwoCalls(heard)
  expectSaid(ground, await stream(ground, { text: saying(ground, `tokens=3,${quirk}`) }))
}

const ask = ({ speaker, access }: Ground, question: Question): Promise<Heard> => speaker.ask(access, question)
const stream = ({ speaker, access }: Ground, question: Question): Promise<Heard> => speaker.stream(access, question)

async function both(ground: Ground, question: Question): Promise<Heard[]> {
  return [await ask(ground, question), await stream(ground, question)]
}

function expectSaid({ fake }: Ground, { text, finish, calls }: Heard): void {
  if (fake === null) expect(text).toMatch(/\p{L}+/u)
  else expect(text).toBe(words.join(''))
  expect([finish, calls]).toEqual(['stop', []])
}

function expectTwoCalls(heard: Heard): void {
  expect(heard.calls.map(({ name }) => name)).toEqual(['weather', 'clock'])
  for (const index of heard.calls.keys()) expectCall(heard, index)
  expect(new Set(heard.calls.map(({ id }) => id)).size).toBe(2)
  expect([heard.finish, heard.text]).toEqual(['tools', ''])
}

function expectCall({ calls }: Heard, index: number): void {
  expect(calls[index]?.input).toEqual({ city: expect.stringMatching(/^(Oslo|Paris)$/) as string })
  expect(calls[index]?.id).toMatch(/^\S+$/)
}

async function callsOf(ground: Ground): Promise<Heard> {
  // Not each real one can be made to call: the conversation then begins with another model.
  const caller = { ...ground, access: { ...ground.access, model: 'embedded' } }
  if (ground.fake === null) return ask(caller, { text: saying(ground), tools, force: 'clock' })
  return ask(ground, { text: saying(ground, 'callTools=2'), tools })
}

const tooLong = (ground: Ground): Question => ({
  text: saying(ground, 'tokens=3,contextLimit=20', ' word'.repeat(600)),
})

/** What the client throws; it must throw. */
async function refused(ground: Ground, change: { access?: Access; question?: Question }): Promise<Problem> {
  const { access = ground.access, question = { text: saying(ground) } } = change
  const whole = await problemIn(ground, () => ground.speaker.ask(access, question))
  const streamed = await problemIn(ground, () => ground.speaker.stream(access, question))
  expect([streamed.type, streamed.status]).toEqual([whole.type, whole.status])
  return whole
}

async function problemIn({ speaker }: Pick<Ground, 'speaker'>, call: () => Promise<unknown>): Promise<Problem> {
  const heard = await call().then(
    told => ({ told }),
    (error: unknown) => ({ error }),
  )
  if ('told' in heard) throw new Error(`It was answered: ${JSON.stringify(heard.told).slice(0, 500)}`)
  return speaker.problem(heard.error)
}

/** The messages that the fake got last. */
function sentMessages({ fake }: Ground): unknown[] | null {
  if (fake === null) return null
  return listOf(fieldOf(fake.state().lastRequests.at(-1)?.body, 'messages'))
}

function textIn(content: unknown): string {
  if (typeof content === 'string') return content
  return listOf(content)
    .map(part => String(fieldOf(part, 'text')))
    .join('')
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
