/** Properties over generated conversations and answers, against a renderer that was written from the API's documentation. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toHttp } from '../../fault.ts'
import { requestId } from '../../units.ts'
import type { ChatMessage, ToolCall } from '../chat.ts'
import type { KeptResponse, PreviousTurns, Translated } from '../translation.ts'
import { checkEvents } from '../../../../test/support/response-events.ts'
import { fromResponses } from './index.ts'

type Fields = Record<string, unknown>
type Assistant = Extract<ChatMessage, { role: 'assistant' }>
type Understood = Extract<Translated, { ok: true }>

const tools = [
  { type: 'function', name: 'look_up', parameters: { type: 'object' } },
  { type: 'namespace', name: 'crm', tools: [{ type: 'function', name: 'find' }] },
  { type: 'custom', name: 'exec' },
]
const chatNames = ['look_up', 'crm__find', 'exec'] as const

function read(
  body: object,
  kept: readonly KeptResponse[] = [],
  id = '0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000',
): Understood {
  const previous = (wanted: string): PreviousTurns | null => kept.find(one => one.id === wanted)?.turns ?? null
  const found = fromResponses(
    { model: 'coder', tools, include: ['reasoning.encrypted_content'], ...body },
    { id: requestId(id), created: 1, previous },
  )
  if (!found.ok) throw new Error(toHttp(found.fault).body.error.message)
  return found
}

const text = fc.oneof(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }), fc.constant('a\n"b"\\ 😀'))
const args = fc.oneof(
  fc.record({ name: fc.constantFrom('look_up', 'crm__find'), json: fc.json({ maxDepth: 1 }).map(q => `{"q":${q}}`) }),
  fc.record({ name: fc.constant('exec'), json: text.map(input => JSON.stringify({ input })) }),
)
const calls = fc.array(args, { maxLength: 3 }).map(list =>
  list.map(({ name, json }, index): ToolCall => ({
    id: `call_${index}`,
    type: 'function',
    function: { name, arguments: json },
  })),
)

/** An assistant's message as an engine answers it. */
const answer = fc
  .record({ thought: fc.option(text), said: fc.option(text), calls })
  .map(({ thought, said, calls: made }): Assistant => ({
    role: 'assistant',
    content: said ?? (made.length > 0 ? null : ''),
    ...(thought === null ? {} : { reasoning_content: thought }),
    ...(made.length === 0 ? {} : { tool_calls: made }),
  }))

const finishOf = ({ tool_calls: made }: Assistant): string => (made === undefined ? 'stop' : 'tool_calls')
const toCompletion = (message: Assistant) => ({
  model: 'm',
  choices: [{ message, finish_reason: finishOf(message) }],
  usage: { prompt_tokens: 3, completion_tokens: 2 },
})

/** The pieces an engine might cut an answer into; `cut` gives the lengths, again and again. */
function toChunks(
  { reasoning_content: thought, content, tool_calls: made }: Assistant,
  cuts: readonly number[],
): object[] {
  let turn = 0
  const cut = (whole: string): string[] => {
    const pieces: string[] = []
    for (let at = 0; at < whole.length;) {
      const length = cuts[turn++ % cuts.length] ?? 1
      pieces.push(whole.slice(at, at + length))
      at += length
    }
    return pieces
  }
  const call = (index: number, fields: object) => ({ tool_calls: [{ index, ...fields }] })
  const deltas = [
    { role: 'assistant', content: null },
    ...cut(thought ?? '').map(piece => ({ reasoning_content: piece })),
    ...cut(content ?? '').map(piece => ({ content: piece })),
    ...(made ?? []).flatMap(({ id, function: { name, arguments: json } }, index) => [
      call(index, { id, type: 'function', function: { name, arguments: '' } }),
      ...cut(json).map(piece => call(index, { function: { arguments: piece } })),
    ]),
  ]
  const finish = finishOf({ role: 'assistant', content, ...(made === undefined ? {} : { tool_calls: made }) })
  return [
    ...deltas.map(delta => ({ choices: [{ index: 0, delta, finish_reason: null }] })),
    { choices: [{ index: 0, delta: {}, finish_reason: finish }] },
    { choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } },
  ]
}

/** All arguments as values: how JSON is spaced is not kept where a custom tool's text was taken out of it. */
function sameMeaning(message: ChatMessage): unknown {
  if (message.role !== 'assistant' || message.tool_calls === undefined) return message
  const calls_ = message.tool_calls.map(({ id, function: called }) => [id, called.name, JSON.parse(called.arguments)])
  return { ...message, tool_calls: calls_ }
}

const cuts = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 5 })

test('S22 S29 what an engine answers comes back to it, however it was told: whole, in pieces, sent again or gone on from', () => {
  fc.assert(
    fc.property(answer, cuts, fc.boolean(), (said, lengths, hidesThought) => {
      const opening = { role: 'user', content: 'Hi' }
      const whole = read({ input: 'Hi' }).answer
      const response = whole.whole(toCompletion(said))

      const { answer: streamed } = read({ input: 'Hi', stream: true })
      const events = streamed.stream()
      const sse =
        toChunks(said, lengths)
          .map(chunk => events.chunk(chunk))
          .join('') + events.end()
      expect(checkEvents(sse)).toEqual(response)
      const kept = [whole.kept?.() ?? []].flat()
      expect([streamed.kept?.()]).toEqual(kept)

      const outputs = (said.tool_calls ?? []).map(({ id, function: { name } }) => ({
        type: name === 'exec' ? 'custom_tool_call_output' : 'function_call_output',
        call_id: id,
        output: 'ok',
      }))
      const next = [...outputs, { role: 'user', content: 'And?' }]
      const items = (response['output'] as Fields[]).map(item => {
        const { content, ...rest } = item
        return hidesThought && item['type'] === 'reasoning' ? rest : { ...rest, content }
      })
      const sentAgain = read({ input: [opening, ...items, ...next] }).request.messages
      const wentOn = read({ input: next, previous_response_id: response['id'] }, kept).request.messages
      const expected = [
        opening,
        said,
        ...(said.tool_calls ?? []).map(({ id }) => ({ role: 'tool', tool_call_id: id, content: 'ok' })),
        { role: 'user', content: 'And?' },
      ] as ChatMessage[]
      expect(sentAgain.map(sameMeaning)).toEqual(expected.map(sameMeaning))
      expect(wentOn.map(sameMeaning)).toEqual(expected.map(sameMeaning))

      const references = (response['output'] as Fields[]).map(item => ({ type: 'item_reference', id: item['id'] }))
      const referred = read({ input: [opening, ...references, ...next] }, kept).request.messages
      expect(referred).toEqual(sentAgain)
    }),
    { numRuns: 300 },
  )
})

test('S21 interleaved calls, in any order of their pieces, are told apart', () => {
  fc.assert(
    fc.property(fc.array(args, { minLength: 2, maxLength: 4 }), fc.array(fc.nat(), { minLength: 1 }), (made, picks) => {
      const events = read({ input: 'Hi' }).answer.stream()
      const rest = made.map(({ json }) => json)
      let sse = ''
      const tell = (index: number, fields: object) => {
        const delta = { tool_calls: [{ index, ...fields }] }
        sse += events.chunk({ choices: [{ index: 0, delta, finish_reason: null }] })
      }
      for (const [index, { name }] of made.entries())
        tell(index, { id: `c${index}`, function: { name, arguments: '' } })
      for (let turn = 0; rest.some(json => json !== ''); turn++) {
        const left = [...rest.keys()].filter(index => rest[index] !== '')
        const index = left[picks[turn % picks.length]! % left.length]!
        tell(index, { function: { arguments: rest[index]!.slice(0, 2) } })
        rest[index] = rest[index]!.slice(2)
      }
      const output = checkEvents(sse + events.end())['output'] as Fields[]
      for (const [index, { name, json }] of made.entries()) {
        expect(output[index]!['call_id']).toBe(`c${index}`)
        if (name === 'exec') expect(output[index]!['input']).toBe(JSON.parse(json).input)
        else expect(output[index]!['arguments']).toBe(json)
      }
    }),
  )
})

/** One exchange: a user's words, and what the assistant did until it spoke to the user again: call, call again, speak. */
const exchange = fc.record({
  asked: text,
  answers: fc
    .tuple(
      fc.array(
        answer.filter(({ tool_calls: made }) => made !== undefined),
        { maxLength: 2 },
      ),
      answer,
    )
    .map(([steps, last]) => [...steps, last]),
  note: fc.option(text),
})

/** The items and, from the API's documentation alone, the messages that they mean. */
function render(exchanges: readonly { asked: string; answers: Assistant[]; note: string | null }[]) {
  const items: object[] = []
  const system: string[] = []
  const messages: ChatMessage[] = []
  for (const [round, { asked, answers, note }] of exchanges.entries()) {
    if (note !== null) {
      items.push({ type: 'message', role: 'developer', content: [{ type: 'input_text', text: note }] })
      system.push(note)
    }
    items.push({ role: 'user', content: asked })
    messages.push({ role: 'user', content: asked })
    for (const [step, { content, reasoning_content: thought, tool_calls: made = [] }] of answers.entries()) {
      const renamed = made.map(call => ({ ...call, id: `${round}.${step}.${call.id}` }))
      if (thought !== undefined)
        items.push({ type: 'reasoning', id: 'rs', summary: [], content: [{ type: 'reasoning_text', text: thought }] })
      if (content !== null)
        items.push({ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: content }] })
      items.push(...renamed.map(renderCall))
      items.push(...renamed.map(({ id }) => ({ type: 'function_call_output', call_id: id, output: `of ${id}` })))
      messages.push({
        role: 'assistant',
        content,
        ...(thought === undefined ? {} : { reasoning_content: thought }),
        ...(renamed.length === 0 ? {} : { tool_calls: renamed }),
      })
      messages.push(...renamed.map(({ id }) => ({ role: 'tool' as const, tool_call_id: id, content: `of ${id}` })))
    }
  }
  const first: ChatMessage[] = system.length === 0 ? [] : [{ role: 'system', content: system.join('\n\n') }]
  return { items, messages: [...first, ...messages] }
}

function renderCall({ id, function: { name, arguments: json } }: ToolCall): object {
  if (name === 'exec') return { type: 'custom_tool_call', call_id: id, name, input: JSON.parse(json).input }
  const namespaced = name === 'crm__find' ? { name: 'find', namespace: 'crm' } : { name }
  return { type: 'function_call', call_id: id, ...namespaced, arguments: json }
}

test('S5–S14 a conversation of items is the conversation of messages that it means', () => {
  fc.assert(
    fc.property(fc.array(exchange, { minLength: 1, maxLength: 4 }), exchanges => {
      const { items, messages } = render(exchanges)
      expect(read({ input: items }).request.messages.map(sameMeaning)).toEqual(messages.map(sameMeaning))
    }),
    { numRuns: 300 },
  )
})

/** Values near to right ones: the API's own words in the wrong places. */
const words = fc.constantFrom(
  ...[
    'message',
    'reasoning',
    'function_call',
    'custom_tool_call',
    'function_call_output',
    'item_reference',
    'namespace',
  ],
  ...[
    'function',
    'custom',
    'web_search',
    'allowed_tools',
    'input_text',
    'input_image',
    'json_schema',
    'user',
    'assistant',
  ],
  ...[
    'local_shell_call',
    'shell_call_output',
    'apply_patch_call',
    'compaction',
    'additional_tools',
    'auto',
    'required',
  ],
  ...['developer', 'rs_a_0', 'call_0', 'grammar', 'incomplete', 'output_text', 'refusal', 'input_audio', 'input_file'],
)
const keys = fc.constantFrom(
  ...['type', 'role', 'content', 'id', 'call_id', 'name', 'arguments', 'input', 'output', 'tools', 'namespace', 'text'],
  ...['image_url', 'file_id', 'action', 'operation', 'status', 'format', 'mode', 'schema', 'definition', 'summary'],
  ...['encrypted_content', 'parameters', 'strict', 'description', 'input_audio', '__proto__', 'constructor'],
)
const { value: nearly } = fc.letrec(tie => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(words, fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(keys, tie('value'), { maxKeys: 5 }),
  ),
}))
const parameters = fc.constantFrom(
  ...['model', 'input', 'instructions', 'tools', 'tool_choice', 'text', 'reasoning', 'previous_response_id', 'include'],
  ...['metadata', 'store', 'stream', 'temperature', 'max_output_tokens', 'messages', 'background', 'user', 'whatever'],
)

test('S1 nothing that JSON can say makes the reader throw, and every refusal can be told', () => {
  const body = fc.oneof(
    fc.jsonValue(),
    nearly,
    fc.dictionary(parameters, nearly, { maxKeys: 6 }).map(fields => ({ model: 'coder', input: 'Hi', ...fields })),
    fc.array(nearly, { maxLength: 5 }).map(input => ({ model: 'coder', input })),
  )
  const counted = { understood: 0, refused: 0 }
  fc.assert(
    fc.property(body, value => {
      // As it comes from the wire: `__proto__` is then a field like others.
      const parsed: unknown = JSON.parse(JSON.stringify(value))
      const found = fromResponses(parsed, { id: requestId('a'), created: 1, previous: () => null })
      counted[found.ok ? 'understood' : 'refused']++
      if (!found.ok)
        expect(toHttp(found.fault)).toMatchObject({ status: 400, body: { error: { code: expect.any(String) } } })
      else
        expect(found.answer.whole(toCompletion({ role: 'assistant', content: 'x' }))).toMatchObject({
          status: 'completed',
        })
    }),
    { numRuns: 3000 },
  )
  // Generated bodies reach both ends.
  expect(Math.min(counted.understood, counted.refused)).toBeGreaterThan(50)
})

test('S21 nothing that an engine streams makes an event out of order', () => {
  const value = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.constant(null),
    fc.constantFrom(...chatNames, '{"input":"', '"}'),
  )
  const call = fc.record(
    { index: fc.nat(2), id: value, function: fc.record({ name: value, arguments: value }, { requiredKeys: [] }) },
    { requiredKeys: [] },
  )
  const delta = fc.record(
    {
      content: value,
      reasoning_content: value,
      reasoning: value,
      refusal: value,
      tool_calls: fc.array(call, { maxLength: 2 }),
    },
    { requiredKeys: [] },
  )
  const finish = fc.constantFrom(null, null, null, 'stop', 'length', 'tool_calls', 'content_filter', 'other')
  const chunk = fc.oneof(
    { arbitrary: fc.record({ choices: fc.tuple(fc.record({ delta, finish_reason: finish })) }), weight: 8 },
    { arbitrary: fc.jsonValue(), weight: 1 },
  )
  const lost = toHttp({ kind: 'engine-lost', sentBytes: 3 })
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 12 }), fc.boolean(), (chunks, breaks) => {
      const { answer: translator } = read({ input: 'Hi' })
      const events = translator.stream()
      const sse = chunks.map(one => events.chunk(one)).join('') + (breaks ? events.fail(lost) : events.end())
      const response = checkEvents(sse)
      expect(translator.kept?.()?.response).toEqual(breaks ? undefined : response)
    }),
    { numRuns: 500 },
  )
})
