/** Any split of the engine's bytes gives the client the same events, in each dialect and through every mend. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromMessages, fromResponses, type AnswerTranslator } from '../../domain/dialect/index.ts'
import { FaultError, toHttp } from '../../domain/fault.ts'
import { requestId, versionName } from '../../domain/units.ts'
import { dialectOf } from '../../adapters/engine/index.ts'
import type { Exchange } from './exchange.ts'
import type { EngineKind } from '../../domain/serving/index.ts'
import { streamAnswer } from './stream-answer.ts'

const context = { id: requestId('0193f5a0-0000-7000-8000-000000000001'), created: 1_795_000_000 }
const event = (chunk: object): string =>
  `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', ...chunk })}\n\n`
const delta = (delta: object, finish: string | null = null): string =>
  event({ choices: [{ index: 0, delta, finish_reason: finish }] })

/** What engines stream: text, thought, tool calls with flaws, comments, CRLF, usage in odd places, no usage, errors. */
const streams: Record<string, string> = {
  'a recorded llama-server': bodyOf('chat-stream-usage.http'),
  'tools of a recorded llama-server': bodyOf('chat-tool-forced-stream.http'),
  'thought, text and two calls in two alphabets': [
    delta({ role: 'assistant', content: '' }),
    delta({ reasoning: 'Дума́ю… 🤔' }),
    delta({ content: 'Ответ: «"usage"» \\n\\n 日本' }),
    ': ping\n\n',
    delta({ tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":' } }] }),
    delta({ tool_calls: [{ index: 0, function: { arguments: '"é"}' } }] }),
    delta({ tool_calls: [{ index: 0, id: 'b', function: { name: 'g', arguments: { y: [1] } } }] }),
    delta({}, 'stop'),
    event({ choices: [], usage: { prompt_tokens: 7, completion_tokens: 9, total_tokens: 16 } }),
    'data: [DONE]\n\n',
  ].join(''),
  'no usage, CRLF': [delta({ role: 'assistant' }), delta({ content: 'Hi' }), delta({}, 'length'), 'data: [DONE]\n\n']
    .join('')
    .replaceAll('\n', '\r\n'),
  'an error in the middle': [delta({ content: 'Hi' }), 'data: {"error":{"message":"out of memory"}}\n\n'].join(''),
  'an end that never comes': delta({ content: 'Hi' }),
}

const clients: Record<string, () => AnswerTranslator | null> = {
  chat: () => null,
  messages: () =>
    answerOf(
      fromMessages({ model: 'm', max_tokens: 9, stream: true, messages: [{ role: 'user', content: 'Hi' }] }, context),
    ),
  responses: () =>
    answerOf(fromResponses({ model: 'm', stream: true, input: 'Hi' }, { ...context, previous: () => null })),
}

for (const [name, bytes] of Object.entries(streams))
  for (const [client, translator] of Object.entries(clients))
    for (const kind of ['openai', 'vllm', 'ollama'] as const)
      test(`${client} of ${kind}, ${name}: any split gives the same events`, () => {
        const whole = play({ pieces: [Buffer.from(bytes)], translator: translator(), kind })
        expect(whole.length).toBeGreaterThan(0)
        fc.assert(
          fc.property(fc.array(fc.nat(Buffer.byteLength(bytes)), { maxLength: 40 }), cuts => {
            expect(play({ pieces: split(Buffer.from(bytes), cuts), translator: translator(), kind })).toBe(whole)
          }),
          { numRuns: 60 },
        )
        const single = [...Buffer.from(bytes)].map(byte => Buffer.from([byte]))
        expect(play({ pieces: single, translator: translator(), kind })).toBe(whole)
      })

test('usage that comes in a chunk with content goes out once, in a chunk of its own', () => {
  const usage = { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 }
  const bytes = [
    event({
      choices: [{ index: 0, delta: { content: 'a' }, finish_reason: null }],
      usage: { ...usage, completion_tokens: 1 },
    }),
    event({ choices: [{ index: 0, delta: { content: 'b' }, finish_reason: 'stop' }], usage }),
    'data: [DONE]\n\n',
  ]
  const told = play({ pieces: [Buffer.from(bytes.join(''))], translator: null, kind: 'openai' })
  const chunks = told.split('\n\n').filter(each => each.includes('{'))
  expect(chunks.map(each => JSON.parse(each.slice('data: '.length)) as object)).toMatchObject([
    { choices: [{ delta: { content: 'a' } }] },
    { choices: [{ delta: { content: 'b' } }] },
    { choices: [], usage },
  ])
  expect(told.match(/"usage"/g)).toHaveLength(1)
})

test('an estimate of the usage has the id that the chunks before it were given', () => {
  const bytes = [delta({ content: 'Hi' }), delta({}, 'stop'), 'data: [DONE]\n\n'].join('').replaceAll('"c1"', '""')
  const told = play({ pieces: [Buffer.from(bytes)], translator: null, kind: 'tgi' })
  const ids = [...told.matchAll(/"id":"([^"]*)"/g)].map(([, id]) => id)
  expect(told).toContain('"usage":{')
  expect(ids).toEqual([expect.stringMatching(/^chatcmpl-/), ids[0], ids[0]])
})

type Play = { pieces: Buffer[]; translator: AnswerTranslator | null; kind: EngineKind }

/** Everything the client gets, its end or its error included. */
function play({ pieces, translator, kind }: Play): string {
  let sent = ''
  const reply = {
    headSent: true,
    sentBytes: 0,
    write: (piece: Uint8Array) => {
      sent += Buffer.from(piece).toString('latin1')
      return true
    },
  }
  const body = { model: 'm', messages: [{ role: 'user', content: 'Hi' }] }
  const partial: unknown = {
    id: context.id,
    reply,
    translator,
    stream: null,
    lastBytes: null,
    ask: { path: 'chat/completions', stream: true, wantsUsage: true, body },
  }
  // Only what a streamed answer looks at.
  const exchange = partial as Exchange
  const { repair } = dialectOf(kind).toRequest(
    'chat/completions',
    { ...body, stream: true },
    versionName('dev-v1.0-m-fp16-p0'),
  )
  const answer = streamAnswer(exchange, repair)
  try {
    for (const piece of pieces) if (answer.data(piece) === 'complete') break
    if (exchange.lastBytes === null) answer.end()
  } catch (error) {
    if (!(error instanceof FaultError)) throw error
    sent += exchange.stream?.fail(toHttp({ ...error.fault })) ?? `FAULT ${error.fault.kind}`
  }
  // Events that hold a mark go out with LF, whatever the engine ended its lines with.
  return (Buffer.from(sent, 'latin1').toString('utf8') + String(exchange.lastBytes ?? '')).replaceAll('\r\n', '\n')
}

/** The body of a recorded answer. */
function bodyOf(file: string): string {
  const text = readFileSync(new URL(`./testdata/${file}`, import.meta.url), 'utf8')
  return text.slice(text.indexOf('\r\n\r\n') + 4)
}

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length]
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end))
}

function answerOf(reading: { ok: true; answer: AnswerTranslator } | { ok: false }): AnswerTranslator {
  if (!reading.ok) throw new Error('the request was refused')
  return reading.answer
}
