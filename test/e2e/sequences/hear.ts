/** An answer as a program takes it in: read as strictly as its client reads, whatever the dialect; throws on what that client would not understand. */
import { receive } from '../../../src/domain/dialect/messages/fake-client.ts'
import { checkEvents, parseEvents } from '../../support/response-events.ts'

export type Answer = { method: string; path: string; status: number; type: string; bytes: Buffer }

export type Heard = {
  status: number
  /** What a stream brought, in order; the same thing again and again stands once. Not streaming: empty. */
  events: string[]
  id: string
  text: string
  thought: string
  calls: Call[]
  finish: string
  usage: { input: number; output: number } | null
  /** Of the Responses API: messages, thought and calls, as they are sent back. */
  items: Fields[]
  models: string[]
  error: { type: string; code: string; param: string; message: string } | null
  /** Of an answer that is no conversation, and of sound. */
  body: unknown
}
export type Call = { id: string; name: string; arguments: string; input: unknown }
type Fields = Record<string, unknown>

const nothing = {
  events: [],
  id: '',
  text: '',
  thought: '',
  calls: [],
  finish: '',
  usage: null,
  items: [],
  models: [],
  error: null,
  body: null,
} satisfies Omit<Heard, 'status'>

/** Of a whole answer. */
export function hear(answer: Answer): Heard {
  return { ...nothing, status: answer.status, ...partsOf(answer) }
}

/** What a stream brought so far, whole events only, for one that nobody read to its end. */
export function eventsOf(path: string, sse: string): string[] {
  const whole = sse.slice(0, sse.lastIndexOf('\n\n') + 2)
  return once(dataOf(whole).map(({ event, data }) => labelOf(routeOf(path), event, data)))
}

function partsOf({ method, path, status, type, bytes }: Answer): Partial<Heard> {
  const text = bytes.toString()
  const route = routeOf(path)
  if (method === 'HEAD') return {}
  if (type.startsWith('text/event-stream')) return { ...readStream(route, text), events: eventsOf(path, text) }
  if (!type.startsWith('application/json')) return { body: bytes }
  const body = fieldsOf(JSON.parse(text))
  if (status >= 400) return { error: readError(route, body) }
  switch (route) {
    case 'messages':
      return readMessage(body)
    case 'responses':
      return readResponse(body)
    case 'chat/completions':
    case 'completions':
      return readCompletion(body)
    case 'models':
      return { models: listOf(body['data']).map(model => textOf(model['id'])) }
    default:
      return { body }
  }
}

function readStream(route: string, sse: string): Partial<Heard> {
  switch (route) {
    case 'messages': {
      const { message, error } = receive(sse)
      return { ...readMessage(message), error: error === null ? null : readError(route, error) }
    }
    case 'responses':
      return { ...readResponse(checkEvents(sse)), error: failureOf(sse) }
    default:
      return readChunks(sse)
  }
}

/** Anthropic's library reads `usage` without looking whether it is there. */
function readMessage(message: Fields): Partial<Heard> {
  const blocks = listOf(message['content'])
  const of = (type: string): Fields[] => blocks.filter(block => block['type'] === type)
  const usage = message['usage'] === null ? null : fieldsOf(message['usage'])
  return {
    id: textOf(message['id'] ?? ''),
    text: of('text')
      .map(block => textOf(block['text']))
      .join(''),
    thought: of('thinking')
      .map(block => textOf(block['thinking']))
      .join(''),
    calls: of('tool_use').map(({ id, name, input }) => ({
      id: textOf(id),
      name: textOf(name),
      arguments: JSON.stringify(input),
      input,
    })),
    finish: textOf(message['stop_reason'] ?? ''),
    usage: usage && { input: countOf(usage['input_tokens']), output: countOf(usage['output_tokens']) },
  }
}

function readResponse(response: Fields): Partial<Heard> {
  const items = listOf(response['output'])
  const textIn = (type: string): string =>
    items
      .filter(item => item['type'] === type)
      .flatMap(item => listOf(item['content']))
      .map(part => textOf(part['text']))
      .join('')
  const usage = response['usage'] === null ? null : fieldsOf(response['usage'])
  return {
    id: textOf(response['id']),
    text: textIn('message'),
    thought: textIn('reasoning'),
    calls: items
      .filter(item => item['type'] === 'function_call')
      .map(({ call_id: id, name, arguments: json }) => ({
        id: textOf(id),
        name: textOf(name),
        arguments: textOf(json),
        input: JSON.parse(textOf(json)),
      })),
    finish: textOf(response['status']),
    usage: usage && { input: countOf(usage['input_tokens']), output: countOf(usage['output_tokens']) },
    items,
  }
}

function readCompletion(completion: Fields): Partial<Heard> {
  const choice = fieldsOf(listOf(completion['choices'])[0])
  const message = fieldsOf(choice['message'] ?? {})
  return {
    id: textOf(completion['id']),
    text: textOf(choice['text'] ?? message['content'] ?? ''),
    thought: thoughtIn(message),
    calls: listOf(message['tool_calls'] ?? []).map(call => toCall(textOf(call['id']), fieldsOf(call['function']))),
    finish: textOf(choice['finish_reason']),
    usage: usageIn(completion),
  }
}

/** As the libraries of OpenAI and Vercel put chunks together: a call is begun with its id and name, by its index. */
function readChunks(sse: string): Partial<Heard> {
  const chunks = dataOf(sse)
  const last = chunks.at(-1)?.data
  const failed = last?.['error'] === undefined ? null : readError('', last)
  must(failed !== null || last === undefined, 'the stream ends without [DONE]')
  const calls = new Map<number, { id: string; name: string; arguments: string }>()
  const heard = { id: '', text: '', thought: '', finish: '' }
  let usage: Heard['usage'] = null
  for (const chunk of chunks.flatMap(({ data }) => (data === undefined || 'error' in data ? [] : [data]))) {
    must(usage === null, 'the usage is the last chunk')
    heard.id = textOf(chunk['id'])
    usage = usageIn(chunk)
    const choice = listOf(chunk['choices'])[0]
    if (choice === undefined) continue
    const delta = fieldsOf(choice['delta'] ?? {})
    heard.text += textOf(choice['text'] ?? delta['content'] ?? '')
    heard.thought += thoughtIn(delta)
    for (const piece of listOf(delta['tool_calls'] ?? [])) {
      const { name, arguments: json } = fieldsOf(piece['function'] ?? {})
      const index = countOf(piece['index'])
      const call = calls.get(index) ?? { id: textOf(piece['id']), name: textOf(name), arguments: '' }
      call.arguments += textOf(json ?? '')
      calls.set(index, call)
    }
    if (choice['finish_reason'] !== null && choice['finish_reason'] !== undefined) {
      must(heard.finish === '', 'it finishes twice')
      heard.finish = textOf(choice['finish_reason'])
    }
  }
  must(failed !== null || heard.finish !== '', 'the stream has no finish_reason')
  return {
    ...heard,
    usage,
    error: failed,
    calls: [...calls.values()].map(call => toCall(call.id, { name: call.name, arguments: call.arguments })),
  }
}

function toCall(id: string, { name, arguments: json }: Fields): Call {
  return { id, name: textOf(name), arguments: textOf(json), input: JSON.parse(textOf(json)) }
}

/** A name for one event: its type, and what kind of piece it is. */
function labelOf(route: string, event: string | null, data: Fields | undefined): string {
  if (data === undefined) return '[DONE]'
  if (data['error'] !== undefined && event === null) return 'error'
  if (route === 'responses') {
    const kind = fieldsOf(data['item'] ?? {})['type']
    return kind === undefined ? textOf(event) : `${textOf(event)} ${textOf(kind)}`
  }
  if (route === 'messages') {
    const kind = { ...fieldsOf(data['content_block'] ?? {}), ...fieldsOf(data['delta'] ?? {}) }
    return [event, kind['type'] ?? kind['stop_reason']].filter(word => word !== undefined && word !== null).join(' ')
  }
  const choice = listOf(data['choices'])[0]
  if (choice === undefined) return 'usage'
  const delta = fieldsOf(choice['delta'] ?? {})
  const call = listOf(delta['tool_calls'] ?? [])[0]
  if (choice['finish_reason'] !== null && choice['finish_reason'] !== undefined)
    return `finish ${textOf(choice['finish_reason'])}`
  if (call !== undefined) return `call ${countOf(call['index'])}${call['id'] === undefined ? '' : ' begins'}`
  if (thoughtIn(delta) !== '') return 'thought'
  return delta['role'] === undefined ? 'text' : 'role'
}

/** Anthropic's shape: `type: error` with the error in it; the others: the error alone. All four keys of OpenAI's. */
function readError(route: string, body: Fields): NonNullable<Heard['error']> {
  const error = fieldsOf(body['error'])
  if (route === 'messages') {
    must(body['type'] === 'error', 'an error of Messages says so')
    must(/^[\w-]{8,}$/.test(textOf(body['request_id'])), 'an error of Messages names the request')
  } else must(Object.keys(error).toSorted().join() === 'code,message,param,type', 'an error has four keys')
  return {
    type: textOf(error['type']),
    code: textOf(error['code']),
    param: textOf(error['param'] ?? ''),
    message: textOf(error['message']),
  }
}

/** What Codex shows: the error inside `response.failed`. */
function failureOf(sse: string): Heard['error'] {
  const failed = parseEvents(sse).find(({ type }) => type === 'response.failed')
  if (failed === undefined) return null
  const { code, message } = fieldsOf(fieldsOf(failed['response'])['error'])
  return { type: 'response.failed', code: textOf(code), param: '', message: textOf(message) }
}

/** `undefined` for `[DONE]`. Comments are passed over. */
function dataOf(sse: string): { event: string | null; data: Fields | undefined }[] {
  return sse
    .split('\n\n')
    .map(block => block.split('\n').filter(line => line !== '' && !line.startsWith(':')))
    .filter(lines => lines.length > 0)
    .map(lines => {
      const field = (name: string): string | undefined => lines.find(line => line.startsWith(`${name}: `))
      const data = field('data')?.slice('data: '.length)
      if (data === undefined) throw new Error(`an event without data: ${lines.join('\n')}`)
      const event = field('event')?.slice('event: '.length) ?? null
      return { event, data: data === '[DONE]' ? undefined : fieldsOf(JSON.parse(data)) }
    })
}

const once = (labels: string[]): string[] => labels.filter((label, i) => label !== labels[i - 1])

/** `messages/count_tokens` of `/v1/messages/count_tokens?beta=true`. */
const routeOf = (path: string): string => path.replace(/\?.*$/, '').replace(/^\/v1\//, '')

const thoughtIn = (delta: Fields): string => textOf(delta['reasoning_content'] ?? delta['reasoning'] ?? '')

function usageIn(chunk: Fields): Heard['usage'] {
  if (chunk['usage'] === null || chunk['usage'] === undefined) return null
  const usage = fieldsOf(chunk['usage'])
  const [input, output] = [countOf(usage['prompt_tokens']), countOf(usage['completion_tokens'])]
  must(countOf(usage['total_tokens']) === input + output, 'the usage does not add up')
  return { input, output }
}

export function fieldsOf(value: unknown): Fields {
  must(typeof value === 'object' && value !== null && !Array.isArray(value), `no object: ${JSON.stringify(value)}`)
  // Checked above; its fields stay unknown.
  return value as Fields
}

function listOf(value: unknown): Fields[] {
  if (!Array.isArray(value)) throw new Error(`no list: ${JSON.stringify(value)}`)
  return value.map(fieldsOf)
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') throw new Error(`no text: ${JSON.stringify(value)}`)
  return value
}

function countOf(value: unknown): number {
  if (!Number.isInteger(value)) throw new Error(`no count: ${JSON.stringify(value)}`)
  return Number(value)
}

function must(isSo: boolean, otherwise: string): void {
  if (!isSo) throw new Error(otherwise)
}
