import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseAsk, parsePlainAsk, promptTokens, type EnginePath, type PlainBody } from '../../domain/serving/index.ts'
import { measureJson, requestSize } from './json-size.ts'
import { plainBody } from './plain-body.ts'
import { scanBody } from './scan-body.ts'

const paths: readonly EnginePath[] = ['chat/completions', 'completions', 'embeddings']

/** What a scan says is what a parse finds; what no parse takes is not scanned. */
function holdAgainstParse(bytes: Uint8Array): boolean {
  const scanned = scanBody(bytes)
  if (scanned === null) return false
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  // An object, or the next lines fail.
  const body = JSON.parse(text) as Record<string, unknown>
  const plain = plainBody(scanned)
  expect(scanned.fields.map(({ name }) => name).toSorted()).toEqual(Object.keys(body).toSorted())
  for (const name of Object.keys(body)) expect(plain.field(name)).toEqual(body[name])
  expect(scanned.values).toBe(measureJson(text, requestSize).values)
  expect(plain.promptTokens).toBe(promptTokens({ body }))
  holdRendered(plain, { bytes, body })
  for (const path of paths) {
    const ask = parsePlainAsk(path, plain, () => body)
    if (ask === null) continue
    const { path: asked, model, stream, wantsUsage } = ask
    expect(parseAsk(path, body)).toMatchObject({ ok: true, ask: { path: asked, model, stream, wantsUsage } })
    expect(ask.body).toBe(body)
  }
  const roles = Array.isArray(body['messages']) ? body['messages'].map((message: { role: string }) => message.role) : []
  if (plain.hasMessages) expect(plain.hasDeveloper).toBe(roles.includes('developer'))
  if (plain.hasMessages) expect(plain.hasSystem).toBe(roles.includes('developer') || roles.includes('system'))
  return true
}

/** What goes on is what came, to the byte, or with nothing changed but what was to be. */
function holdRendered(plain: PlainBody, { bytes, body }: { bytes: Uint8Array; body: Record<string, unknown> }): void {
  const sent = (fields: Record<string, unknown>): Uint8Array => {
    const told = plain.with({ fields, firstMessage: null })
    // As a text goes out: that it is ASCII is what the wire relies on.
    if (typeof told === 'string') expect(Buffer.from(told, 'latin1')).toEqual(Buffer.from(told))
    return typeof told === 'string' ? Buffer.from(told) : told
  }
  expect(Buffer.compare(sent({ absent: undefined }), bytes)).toBe(0)
  const { model, ...rest } = body
  if (typeof model === 'string') expect(parse(sent({ model }))).toEqual(body)
  expect(parse(sent({ model: 'ä', added: 'ö' }))).toEqual({ ...rest, model: 'ä', added: 'ö' })
  expect(parse(sent({ model: undefined }))).toEqual(rest)
}

const parse = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes))

const content = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: fc.constantFrom('"', '\\', '\n', 'é', '中', '😀', '\ud800', 'a', ' ', '\u0000') }),
  fc.constant(null),
  fc.array(fc.record({ type: fc.constantFrom('text', 'text', 'text', 'image_url'), text: fc.string() }), {
    maxLength: 3,
  }),
)
const message = fc.record(
  { role: fc.constantFrom('user', 'system', 'developer', 'assistant', 'töol'), content, name: fc.string() },
  { requiredKeys: ['role'] },
)
const number = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: -200, max: 200 }).map(hundredths => hundredths / 100 || 0) },
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constant(-0),
)
const odd = <T>(usually: fc.Arbitrary<T>) => fc.oneof({ weight: 8, arbitrary: usually }, fc.jsonValue())
const usual = fc.record(
  {
    model: fc.oneof(fc.string({ maxLength: 20 }), fc.constant('coder')),
    messages: odd(fc.array(message, { minLength: 1, maxLength: 4 })),
    prompt: odd(fc.oneof(fc.string(), fc.array(fc.oneof(fc.string(), fc.nat()), { maxLength: 3 }))),
    input: fc.oneof(fc.string(), fc.array(fc.nat(), { maxLength: 3 })),
    stream: fc.constantFrom<unknown>(true, false, null, 1),
    stream_options: odd(fc.record({ include_usage: fc.boolean() })),
    temperature: number,
    max_tokens: fc.nat(),
    tools: fc.array(fc.record({ type: fc.constant('function'), function: fc.jsonValue() }), { maxLength: 2 }),
  },
  { requiredKeys: ['model'] },
)
const rendered = fc.tuple(usual, fc.constantFrom(undefined, 1, '\t', '\r\n ')).map(([body, space]) => {
  const text = JSON.stringify(body, null, typeof space === 'string' ? 1 : space)
  return typeof space === 'string' ? text.replaceAll(/\n +/g, space) : text
})

test('what is scanned is what a parse of the whole finds', () => {
  let scanned = 0
  fc.assert(
    fc.property(rendered, text => {
      if (holdAgainstParse(Buffer.from(text))) scanned++
    }),
    { numRuns: 1_000 },
  )
  // The property is about something.
  expect(scanned).toBeGreaterThan(100)
})

test('a body with a few bytes changed is scanned only if it is still JSON, and then as a parse reads it', () => {
  const change = fc.tuple(
    fc.nat(),
    fc.constantFrom('set', 'drop', 'add'),
    fc.constantFrom(...'{}[]",:\\0-.eEtfn \n\u0000\u007fÿu'),
  )
  fc.assert(
    fc.property(rendered, fc.array(change, { minLength: 1, maxLength: 3 }), (text, changes) => {
      let bytes = [...Buffer.from(text)]
      for (const [at, how, letter] of changes) {
        const place = at % (bytes.length + 1)
        const added = how === 'drop' ? [] : [letter.charCodeAt(0)]
        bytes = [...bytes.slice(0, place), ...added, ...bytes.slice(place + (how === 'add' ? 0 : 1))]
      }
      holdAgainstParse(Uint8Array.from(bytes))
    }),
    { numRuns: 1_500 },
  )
})

describe('usual bodies need no parse', () => {
  const system = { role: 'system', content: 'Be brief.' }
  const tool = {
    type: 'function',
    function: { name: 'f', parameters: { type: 'object', properties: { a: { type: 'string' } } } },
  }
  test.each([
    ['a chat', { model: 'm', messages: [system, { role: 'user', content: 'Hi' }], stream: true, temperature: 0.2 }],
    ['escapes', { model: 'm', messages: [{ role: 'user', content: 'a "b"\n\\ \t \u0001' }] }],
    ['other scripts', { model: 'm', messages: [{ role: 'user', content: 'Grüße, 世界 😀 '.repeat(40) }] }],
    [
      'tools and their calls',
      { model: 'm', messages: [{ role: 'assistant', content: null, tool_calls: [] }], tools: [tool] },
    ],
    ['parts', { model: 'm', messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }] }],
    ['tokens', { model: 'm', prompt: [1, 2, 3], max_tokens: 5 }],
    ['inputs', { model: 'm', input: ['a', 'b'] }],
    ['the name of a prototype', JSON.parse('{"model":"m","__proto__":{"x":1},"prompt":"a"}')],
  ])('%s', (_, body) => {
    expect(holdAgainstParse(Buffer.from(JSON.stringify(body)))).toBe(true)
    expect(holdAgainstParse(Buffer.from(JSON.stringify(body, null, 2)))).toBe(true)
  })
})

test.each([
  ['two fields of one name', '{"model":"a","model":"b","messages":[{"role":"user"}]}'],
  ['a name with an escape', '{"\\u006dodel":"b"}'],
  ['a name with an escape further in', '{"model":"b","x":{"\\u0061":1}}'],
  ['a name that is not ASCII', '{"model":"m","é":1}'],
  ['two roles', '{"messages":[{"role":"user","role":"system"}]}'],
  ['a role with an escape', '{"messages":[{"role":"\\u0073ystem"}]}'],
  ['a message without a role', '{"messages":[{"content":"x"}]}'],
  ['no messages', '{"messages":[]}'],
  ['two contents', '{"messages":[{"role":"user","content":"a","content":"b"}]}'],
  ['a content that is a number', '{"messages":[{"role":"user","content":1}]}'],
  ['an image', '{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}'],
  ['an image by another spelling', '{"messages":[{"role":"user","content":[{"type":"image\\u005furl"}]}]}'],
  ['an exponent', '{"temperature":1e3}'],
  ['more digits than a number keeps', '{"seed":12345678901234567890}'],
  ['a negative zero', '{"temperature":-0}'],
  ['a leading zero', '{"temperature":01}'],
  ['a number that ends in its point', '{"temperature":1.}'],
  ['a plus sign', '{"temperature":+1}'],
  ['a comma too many', '{"model":"m",}'],
  ['a comma too many in a list', '{"stop":["a",]}'],
  ['something behind it', '{"model":"m"} {}'],
  ['a NUL behind it', '{"model":"m"}\u0000'],
  ['a byte order mark', '\uFEFF{"model":"m"}'],
  ['a control character in a text', '{"model":"m\u0001"}'],
  ['a line break in a text', '{"model":"aaaaaaaaaaaaaaaaaaaaaaa\n"}'],
  ['an escape that is none', '{"model":"\\x41"}'],
  ['half an escape', '{"model":"\\u00"}'],
  ['a word that is none', '{"model":nul}'],
  ['NaN', '{"model":NaN}'],
  ['single quotes', "{'model':1}"],
  ['a space that is none', '{\u00a0"model":1}'],
  ['an end before the end', '{"model":"m","messages":[{"role":"us'],
  ['a list', '[]'],
  ['nothing', ''],
  ['an empty object', '{}'],
  ['levels beyond what is usual', `{"x":${'['.repeat(20)}${']'.repeat(20)}}`],
  ['too many fields', `{${Array.from({ length: 65 }, (_, i) => `"f${i}":0`).join()}}`],
])('%s is left to a parse', (_, text) => {
  expect(scanBody(Buffer.from(text))).toBeNull()
})

test('what is no UTF-8 is left to be refused, wherever it is', () => {
  for (const bytes of [[0xff], [0xc3], [0xe4, 0xb8], [0xed, 0xa0, 0x80]])
    expect(scanBody(Buffer.from([...Buffer.from('{"model":"'), ...bytes, ...Buffer.from('"}')]))).toBeNull()
})

test('a part of a larger buffer is read from where it begins', () => {
  const text = '{"model":"m","prompt":"a long enough text to be looked at by fours"}'
  for (let offset = 0; offset < 5; offset++) {
    const whole = Buffer.from(`${'"'.repeat(offset)}${text}"`)
    expect(holdAgainstParse(whole.subarray(offset, offset + text.length))).toBe(true)
  }
})
