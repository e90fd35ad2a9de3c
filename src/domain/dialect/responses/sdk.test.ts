/** The official `openai` package reads our streams from a local server, and finds in them what the engine said. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import OpenAI from 'openai'
import { afterEach, expect, test } from 'vitest'
import { toHttp } from '../../fault.ts'
import { requestId } from '../../units.ts'
import { fromResponses } from './index.ts'

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise(done => server.close(done))
})

const delta = (fields: object, finish: string | null = null) => ({
  choices: [{ index: 0, delta: fields, finish_reason: finish }],
})
const lost = toHttp({ kind: 'engine-lost', sentBytes: 3 })

/** A client of a server that answers with these chunks, and then ends or breaks. */
async function clientOf(chunks: readonly object[], breaks = false): Promise<OpenAI> {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request) body += String(piece)
    const read = fromResponses(JSON.parse(body), {
      id: requestId('0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000'),
      created: 1,
      previous: () => null,
    })
    if (!read.ok) {
      const { status, body: error } = toHttp(read.fault)
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(error))
      return
    }
    const events = read.answer.stream()
    response.writeHead(200, { 'content-type': 'text/event-stream', 'connection': 'close' })
    for (const chunk of chunks) response.write(events.chunk(chunk))
    response.end(breaks ? events.fail(lost) : events.end())
  })
  servers.push(server)
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  // A server that listens on a port has an address with one.
  const { port } = server.address() as AddressInfo
  return new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: 'sk-test', maxRetries: 0 })
}

const call = (index: number, name: string, json: string) => [
  delta({ tool_calls: [{ index, id: `call_${index}`, type: 'function', function: { name, arguments: '' } }] }),
  ...(json.match(/.{1,3}/gs) ?? []).map(piece => delta({ tool_calls: [{ index, function: { arguments: piece } }] })),
]
const usage = { choices: [], usage: { prompt_tokens: 100, completion_tokens: 20 } }
const everything = [
  delta({ role: 'assistant', content: null }),
  delta({ reasoning_content: 'I thi' }),
  delta({ reasoning_content: 'nk.' }),
  delta({ content: 'Let me ' }),
  delta({ content: 'look.' }),
  ...call(0, 'look_up', '{"q":"weather"}'),
  ...call(1, 'exec', '{"input":"say \\"hé\\"\\n"}'),
  ...call(2, 'crm__find', '{"id":7}'),
  delta({}, 'tool_calls'),
  usage,
]
const asked = {
  model: 'coder',
  input: 'Hi',
  tools: [
    { type: 'function' as const, name: 'look_up', parameters: { type: 'object' }, strict: false },
    { type: 'custom' as const, name: 'exec' },
    {
      type: 'namespace' as const,
      name: 'crm',
      description: 'd',
      tools: [{ type: 'function' as const, name: 'find', parameters: { type: 'object' } }],
    },
  ],
}

test('responses.stream() accumulates thought, text, functions, custom tools and usage', async () => {
  const client = await clientOf(everything)
  const stream = client.responses.stream(asked)
  const seen: string[] = []
  stream.on('response.output_text.delta', ({ snapshot }) => seen.push(snapshot))
  stream.on('response.function_call_arguments.delta', ({ snapshot }) => seen.push(snapshot))
  const response = await stream.finalResponse()
  expect(seen).toContain('Let me look.')
  expect(seen).toContain('{"q":"weather"}')
  expect(response.status).toBe('completed')
  expect(response.output_text).toBe('Let me look.')
  expect(response.usage).toMatchObject({ input_tokens: 100, output_tokens: 20, total_tokens: 120 })
  expect(response.output).toMatchObject([
    { type: 'reasoning', content: [{ text: 'I think.' }] },
    { type: 'message', content: [{ text: 'Let me look.' }] },
    { type: 'function_call', call_id: 'call_0', name: 'look_up', arguments: '{"q":"weather"}' },
    { type: 'custom_tool_call', call_id: 'call_1', name: 'exec', input: 'say "hé"\n' },
    { type: 'function_call', call_id: 'call_2', name: 'find', namespace: 'crm', arguments: '{"id":7}' },
  ])
})

test('responses.create({ stream: true }) gives every event with its type', async () => {
  const client = await clientOf(everything)
  const types = new Set<string>()
  for await (const event of await client.responses.create({ ...asked, stream: true })) types.add(event.type)
  expect(types).toContain('response.reasoning_text.delta')
  expect(types).toContain('response.custom_tool_call_input.done')
  expect([...types].at(-1)).toBe('response.completed')
})

test('an empty and a cut answer are answers', async () => {
  const empty = await (await clientOf([delta({}, 'stop')])).responses.stream(asked).finalResponse()
  expect([empty.status, empty.output_text]).toEqual(['completed', ''])
  const chunks = [delta({ content: 'Hel' }), ...call(0, 'look_up', '{"q'), delta({}, 'length')]
  const cut = await (await clientOf(chunks)).responses.stream(asked).finalResponse()
  expect([cut.status, cut.output_text, cut.incomplete_details]).toEqual([
    'incomplete',
    'Hel',
    { reason: 'max_output_tokens' },
  ])
})

test('a broken answer is an exception with our message, and never half an answer', async () => {
  const chunks = [delta({ content: 'Hel' }), ...call(0, 'look_up', '{"q')]
  const helper = (await clientOf(chunks, true)).responses.stream(asked)
  const failed: unknown[] = []
  helper.on('response.failed', ({ response }) => failed.push(response.error))
  await expect(helper.finalResponse()).rejects.toThrow(lost.body.error.message)
  expect(failed).toEqual([{ code: 'engine_lost', message: lost.body.error.message }])

  const client = await clientOf(chunks, true)
  const plain = async () => {
    for await (const event of await client.responses.create({ ...asked, stream: true }))
      expect(event.type).toMatch(/^response\./)
  }
  await expect(plain()).rejects.toThrow(lost.body.error.message)
})

test('a refusal names the parameter', async () => {
  const client = await clientOf([])
  await expect(client.responses.create({ ...asked, previous_response_id: 'resp_gone' })).rejects.toMatchObject({
    status: 400,
    code: 'previous_response_not_found',
    param: 'previous_response_id',
  })
})
