/** What holds for every conversation, every answer and every way that an engine cuts it into chunks. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FaultError, toHttp } from '../../fault.ts'
import { requestId } from '../../units.ts'
import type { ChatMessage, ChatRequest, ContentPart } from '../chat.ts'
import type { AnswerTranslator } from '../translation.ts'
import { readEvents, receive } from './fake-client.ts'
import { fromCountTokens, fromMessages } from './index.ts'

const context = { id: requestId('019a2b3c-4d5e-7f80'), created: 1_760_000_000 }
const ask = { role: 'user', content: 'Hi' }

function translated(
  messages: readonly unknown[],
  system?: unknown,
): { request: ChatRequest; answer: AnswerTranslator } {
  const reading = fromMessages({ model: 'coder', max_tokens: 16, messages, system }, context)
  if (!reading.ok) throw new Error(toHttp(reading.fault).body.error.message)
  return reading
}

/** Text that a block can carry: more than blanks. */
const saying = fc.string({ unit: 'grapheme', minLength: 1 }).map(said => `${said}.`)
const maybe = fc.oneof(fc.constant(''), saying)
const input = fc.dictionary(fc.string(), fc.jsonValue())
const name = fc.stringMatching(/^[a-zA-Z0-9_-]{1,12}$/)

type Answer = { reasoning: string; text: string; calls: { id: string; name: string; json: string }[] }
const answers: fc.Arbitrary<Answer> = fc.record({
  reasoning: maybe,
  text: maybe,
  calls: fc
    .array(fc.record({ name, json: input.map(value => JSON.stringify(value)) }), { maxLength: 4 })
    .map(calls => calls.map((call, index) => ({ ...call, id: `chatcmpl-tool-${index}` }))),
})

const usage = { prompt_tokens: 20, completion_tokens: 9, prompt_tokens_details: { cached_tokens: 16 } }

function completionOf({ reasoning, text, calls }: Answer) {
  return {
    choices: [
      {
        message: {
          role: 'assistant',
          content: text === '' ? null : text,
          reasoning_content: reasoning,
          tool_calls: calls.map(({ id, name: called, json }) => ({ id, function: { name: called, arguments: json } })),
        },
        finish_reason: calls.length > 0 ? 'tool_calls' : 'stop',
      },
    ],
    usage,
  }
}

/** The answer as the engine gets it back in the next request. */
function toHistory({ reasoning, text, calls }: Answer): ChatMessage {
  return {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0
      ? {}
      : {
          tool_calls: calls.map(({ id, name: called, json }) => ({
            id,
            type: 'function',
            function: { name: called, arguments: JSON.stringify(JSON.parse(json)) },
          })),
        }),
  }
}

type Delta = { reasoning?: string; content?: string; tool_calls?: object[] }

/** Chunks that make up the answer: texts cut anywhere, parallel calls mixed in any way, several pieces in one chunk or not. */
function chunksOf({ reasoning, text, calls }: Answer, dice: () => number): object[] {
  const cut = (whole: string): string[] => {
    if (whole.length < 2 || dice() % 3 === 0) return [whole]
    const at = 1 + (dice() % (whole.length - 1))
    return [...cut(whole.slice(0, at)), ...cut(whole.slice(at))]
  }
  const spoken: Delta[] = [
    ...(reasoning === '' ? [] : cut(reasoning).map(piece => ({ reasoning: piece }))),
    ...(text === '' ? [] : cut(text).map(piece => ({ content: piece }))),
  ]
  const waiting = calls.map(({ id, name: called, json }, index) => [
    { index, id, type: 'function', function: { name: called, arguments: '' } },
    ...cut(json).map(piece => ({ index, function: { arguments: piece } })),
  ])
  const called: Delta[] = []
  let begun = 0
  while (waiting.some(pieces => pieces.length > 0)) {
    // An engine numbers calls as it begins them.
    const index = dice() % Math.min(begun + 1, waiting.length)
    const piece = waiting[index]?.shift()
    if (piece === undefined) {
      begun = Math.max(begun, index + 1)
      continue
    }
    begun = Math.max(begun, index + 1)
    called.push({ tool_calls: [piece] })
  }
  const deltas: Delta[] = [{}]
  for (const piece of [...spoken, ...called]) {
    const last = deltas.at(-1)
    // Within one chunk the order is thought, text, calls.
    const fits =
      last !== undefined &&
      last.tool_calls === undefined &&
      (piece.reasoning === undefined || (last.reasoning === undefined && last.content === undefined)) &&
      (piece.content === undefined || last.content === undefined)
    if (last !== undefined && piece.tool_calls !== undefined && last.tool_calls !== undefined && dice() % 2 === 0)
      last.tool_calls.push(...piece.tool_calls)
    else if (last !== undefined && fits && dice() % 2 === 0) Object.assign(last, piece)
    else deltas.push({ ...piece })
  }
  return [
    ...deltas.map(delta => ({ choices: [{ index: 0, delta, finish_reason: null }] })),
    { choices: [{ index: 0, delta: {}, finish_reason: calls.length > 0 ? 'tool_calls' : 'stop' }] },
    { choices: [], usage },
  ]
}

const cuts = fc.infiniteStream(fc.nat()).map(stream => () => stream.next().value)

function streamed(answer: AnswerTranslator, chunks: readonly unknown[]): string {
  const stream = answer.stream()
  return [...chunks.map(chunk => stream.chunk(chunk)), stream.end()].join('')
}

describe('an answer', () => {
  test('M12 M13 M22 comes back whole in the next request', () => {
    fc.assert(
      fc.property(answers, answer => {
        const { content } = translated([ask]).answer.whole(completionOf(answer))
        expect(translated([ask, { role: 'assistant', content }]).request.messages[1]).toEqual(toHistory(answer))
      }),
    )
  })

  test('M29 M34 is the same message however it is cut, and comes back whole', () => {
    fc.assert(
      fc.property(answers, cuts, (answer, dice) => {
        const { answer: translator } = translated([ask])
        const { message } = receive(streamed(translator, chunksOf(answer, dice)))
        expect(message).toEqual(translator.whole(completionOf(answer)))
        const next = translated([ask, { role: 'assistant', content: message.content }])
        expect(next.request.messages[1]).toEqual(toHistory(answer))
      }),
      { numRuns: 500 },
    )
  })

  test('M29 keeps the order of events whatever the engine sends, and breaks anywhere', () => {
    const told = fc.record(
      {
        reasoning: fc.string(),
        content: fc.oneof(fc.string(), fc.constant('\n\n')),
        refusal: fc.string({ maxLength: 1 }),
        tool_calls: fc.array(
          fc.record(
            {
              index: fc.nat({ max: 3 }),
              id: fc.oneof(fc.constant(''), name),
              function: fc.record({
                name: maybe,
                arguments: fc.oneof(fc.string(), fc.constantFrom('{', '}', '{}', '"')),
              }),
            },
            { requiredKeys: [] },
          ),
          { maxLength: 3 },
        ),
      },
      { requiredKeys: [] },
    )
    const finish = fc.constantFrom(null, null, null, 'stop', 'length', 'tool_calls')
    const chunk = fc.record({ delta: told, finish_reason: finish }).map(choice => ({ choices: [choice] }))
    fc.assert(
      fc.property(fc.array(fc.oneof(chunk, fc.jsonValue()), { maxLength: 12 }), fc.boolean(), (chunks, breaks) => {
        const stream = translated([ask]).answer.stream()
        const told = chunks.map(one => stream.chunk(one)).join('')
        const last = breaks ? stream.fail(toHttp({ kind: 'engine-lost', sentBytes: 1 })) : stream.end()
        const { message, error } = receive(told + last)
        expect(error === null).toBe(!breaks)
        if (!breaks) expect(message.content.length).toBeGreaterThan(0)
      }),
      { numRuns: 500 },
    )
  })

  test('M28 is refused when it is none, never with anything but a fault', () => {
    const { answer } = translated([ask])
    const odd = fc.oneof(fc.jsonValue(), fc.record({ choices: fc.array(fc.record({ message: fc.jsonValue() })) }))
    fc.assert(
      fc.property(odd, completion => {
        try {
          expect(answer.whole(completion)['type']).toBe('message')
        } catch (error) {
          expect(error).toBeInstanceOf(FaultError)
        }
      }),
    )
  })
})

describe('a request', () => {
  const valid = {
    model: 'coder',
    max_tokens: 16,
    system: [{ type: 'text', text: 'S' }],
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'A' },
          { type: 'image', source: { type: 'url', url: 'u' } },
        ],
      },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'T', signature: '' },
          { type: 'tool_use', id: 'a', name: 'f', input: {} },
        ],
      },
      {
        role: 'user',
        content: [{ type: 'tool_result', tool_use_id: 'a', content: [{ type: 'text', text: 'R' }], is_error: true }],
      },
      { role: 'system', content: 'N', clear_at: 'never' },
      { role: 'user', content: [{ type: 'document', source: { type: 'text', data: 'D' }, title: 'T' }] },
    ],
    tools: [{ name: 'f', description: 'D', input_schema: { type: 'object' } }],
    tool_choice: { type: 'tool', name: 'f', disable_parallel_tool_use: true },
    stop_sequences: ['E'],
    temperature: 1,
    metadata: { user_id: 'u' },
    thinking: { type: 'enabled', budget_tokens: 2048 },
    output_config: { effort: 'low', format: { type: 'json_schema', schema: {} } },
    mcp_servers: [],
  }

  /** The value with one place in it, at any depth, exchanged for another. */
  function exchanged(value: unknown, [step, ...path]: readonly number[], other: unknown): unknown {
    if (step === undefined || typeof value !== 'object' || value === null) return other
    const keys = Object.keys(value)
    const key = keys[step % Math.max(1, keys.length)]
    if (key === undefined) return other
    if (Array.isArray(value)) return value.with(Number(key), exchanged(value[Number(key)], path, other))
    return { ...value, [key]: exchanged((value as Record<string, unknown>)[key], path, other) }
  }

  const bodies = fc.oneof(
    fc.jsonValue(),
    fc
      .tuple(fc.array(fc.nat(), { minLength: 1, maxLength: 6 }), fc.jsonValue())
      .map(([path, other]) => exchanged(valid, path, other)),
  )

  test('M1 is understood or refused by place, whatever JSON it is', () => {
    expect(fromMessages(valid, context)).toMatchObject({ ok: true })
    fc.assert(
      fc.property(bodies, body => {
        for (const reading of [fromMessages(body, context), fromCountTokens(body)]) {
          if (reading.ok) {
            expect(reading.request.messages.length).toBeGreaterThan(0)
            continue
          }
          const { status, body: told } = toHttp(reading.fault)
          expect([status, told.error.code]).toEqual([400, expect.stringMatching(/^(invalid_value|unsupported)$/)])
          if (told.error.param !== null) expect(told.error.message).toContain(told.error.param)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  /** A conversation as people think of it. */
  type Shown = { text: string } | { image: string }
  type Round = {
    shown: Shown[]
    answer: Answer
    results: { shown: Shown[]; failed: boolean }[]
  }
  const images = fc.stringMatching(/^[A-Za-z0-9+/]{4,8}$/)
  const shown = fc.array(
    fc.oneof(
      saying.map(text => ({ text })),
      images.map(image => ({ image })),
    ),
    { minLength: 1, maxLength: 3 },
  )
  const rounds: fc.Arbitrary<Round> = fc
    .tuple(shown, answers, fc.array(fc.record({ shown, failed: fc.boolean() }), { minLength: 4, maxLength: 4 }))
    .map(([said, answer, results]) => ({ shown: said, answer, results: results.slice(0, answer.calls.length) }))

  /** As a Messages client sends it; `dice` chooses among spellings of the same. */
  function render(told: readonly Round[], dice: () => number): object[] {
    const block = (one: Shown) => ({
      ...('text' in one
        ? { type: 'text', text: one.text }
        : { type: 'image', source: { type: 'base64', media_type: 'image/png', data: one.image } }),
      ...(dice() % 3 === 0 ? { cache_control: { type: 'ephemeral' } } : {}),
    })
    const plain = (said: readonly Shown[]) => {
      const [only, ...more] = said
      return more.length === 0 && only !== undefined && 'text' in only && dice() % 2 === 0 ? only.text : said.map(block)
    }
    let results: object[] = []
    return told.flatMap(({ shown: said, answer, results: given }) => {
      const own = plain(said)
      const user =
        results.length > 0 && dice() % 2 === 0
          ? [{ role: 'user', content: [...results, ...said.map(block)] }]
          : [...results.map(result => ({ role: 'user', content: [result] })), { role: 'user', content: own }]
      results = given.map((result, index) => ({
        type: 'tool_result',
        tool_use_id: answer.calls[index]?.id,
        content: plain(result.shown),
        ...(result.failed ? { is_error: true } : {}),
      }))
      const blocks = [
        ...(answer.reasoning === '' ? [] : [{ type: 'thinking', thinking: answer.reasoning, signature: 's' }]),
        ...(dice() % 4 === 0 ? [{ type: 'redacted_thinking', data: 'x' }] : []),
        ...(answer.text === '' ? [] : [{ type: 'text', text: answer.text }]),
        ...answer.calls.map(({ id, name: called, json }) => ({
          type: 'tool_use',
          id,
          name: called,
          input: JSON.parse(json),
        })),
      ]
      return [...user, { role: 'assistant', content: blocks }]
    })
  }

  /** As an engine should get it. */
  function expected(told: readonly Round[]): ChatMessage[] {
    const url = (image: string): ContentPart => ({
      type: 'image_url',
      image_url: { url: `data:image/png;base64,${image}` },
    })
    let before: Round | null = null
    return told.flatMap(round => {
      const results = before?.results ?? []
      const ids = before?.answer.calls.map(({ id }) => id) ?? []
      before = round
      const shownByTools = results.flatMap(({ shown: seen }, index): ContentPart[] => {
        const pictures = seen.flatMap(one => ('image' in one ? [url(one.image)] : []))
        return pictures.length === 0 ? [] : [{ type: 'text', text: `From the result of ${ids[index]}:` }, ...pictures]
      })
      const own = round.shown.map((one): ContentPart =>
        'text' in one ? { type: 'text', text: one.text } : url(one.image),
      )
      const parts = [...shownByTools, ...own]
      const isText = parts.every(({ type }) => type === 'text')
      return [
        ...results.map(({ shown: seen, failed }, index): ChatMessage => {
          const text = seen.map(one => ('text' in one ? one.text : '[image: shown after the results of the tools]'))
          return {
            role: 'tool',
            tool_call_id: String(ids[index]),
            content: `${failed ? 'Error: ' : ''}${text.join('\n\n')}`,
          }
        }),
        {
          role: 'user',
          content: isText ? parts.map(part => (part.type === 'text' ? part.text : '')).join('\n\n') : parts,
        },
        toHistory(round.answer),
      ]
    })
  }

  test('M2–M13 tells the engine the whole conversation, however the client spells it', () => {
    fc.assert(
      fc.property(fc.array(rounds, { minLength: 1, maxLength: 4 }), maybe, cuts, (told, system, dice) => {
        const { request } = translated(render(told, dice), system)
        const instructions: ChatMessage[] = system === '' ? [] : [{ role: 'system', content: system }]
        expect(request.messages).toEqual([...instructions, ...expected(told)])
      }),
    )
  })
})

test('the fake client refuses streams that Anthropic’s clients break at', () => {
  const event = (type: string, fields: object = {}) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`
  const start = event('message_start', { message: { content: [] } })
  const text = (index: number) => event('content_block_start', { index, content_block: { type: 'text', text: '' } })
  const thought = event('content_block_delta', { index: 0, delta: { type: 'thinking_delta', thinking: 'x' } })
  const stop = event('content_block_stop', { index: 0 })
  const end = event('message_delta', { delta: {} }) + event('message_stop')
  expect(receive(start + text(0) + stop + end).message.content).toHaveLength(1)
  for (const wrong of [
    start + text(0) + thought + stop + end,
    start + text(0) + text(1) + stop + end,
    start + text(1) + stop + end,
    start + start + end,
    start + thought + end,
    start + text(0) + end,
    start + text(0) + stop,
    start + end + event('error'),
    text(0) + stop + end,
  ])
    expect(() => receive(wrong), wrong).toThrow(Error)
  expect(() => readEvents('event: ping\ndata: {"type":"pong"}\n\n')).toThrow('says it is pong')
})
