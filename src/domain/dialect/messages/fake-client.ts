/** Anthropic's client, for tests: puts a stream together, and throws at whatever the API's order of events does not allow. */

type Block = Record<string, unknown> & { type: string }
export type Received = {
  message: { content: Block[]; stop_reason: unknown; stop_sequence: unknown; usage: unknown } & Record<string, unknown>
  /** The `error` event that ended it. */
  error: Record<string, unknown> | null
  types: string[]
}

export function receive(text: string): Received {
  const events = readEvents(text)
  const client = openClient()
  for (const event of events) client.take(event)
  return { ...client.done(), types: events.map(({ type }) => type) }
}

type Event = { type: string } & Record<string, unknown>

/** Whole events only: a name, its data with the same type, an empty line. */
export function readEvents(text: string): Event[] {
  if (text === '') return []
  must(text.endsWith('\n\n'), 'the last event is not whole')
  return text
    .slice(0, -2)
    .split('\n\n')
    .map(event => {
      // Not `.`: text may hold other ends of lines, which end none here.
      const [, name, data] = /^event: (\w+)\ndata: ([^\n]+)$/.exec(event) ?? []
      must(data !== undefined, `no event: ${event}`)
      const parsed = JSON.parse(data ?? '') as Event
      must(parsed.type === name, `the event ${name} says it is ${parsed.type}`)
      return parsed
    })
}

function openClient() {
  let message: Received['message'] | null = null
  let error: Record<string, unknown> | null = null
  let open: { block: Block; json: string; isSigned: boolean } | null = null
  let hasDelta = false
  let hasStopped = false

  function begun(): Received['message'] {
    if (message === null) throw new Error('there is no message_start yet')
    return message
  }

  return {
    take(event: Event): void {
      must(!hasStopped && error === null, `${event.type} comes after the end`)
      switch (event.type) {
        case 'message_start':
          must(message === null, 'a second message_start')
          message = structuredCopy(event['message'])
          return must(begun().content.length === 0, 'a message starts empty')
        case 'content_block_start': {
          must(open === null && !hasDelta, 'blocks overlap')
          must(event['index'] === begun().content.length, `block ${String(event['index'])} is out of order`)
          open = { block: structuredCopy(event['content_block']), json: '', isSigned: false }
          begun().content.push(open.block)
          return
        }
        case 'content_block_delta': {
          if (open === null) throw new Error('a delta without a block')
          must(event['index'] === begun().content.length - 1, 'a delta of another block')
          return addDelta(open, event['delta'] as Record<string, unknown>)
        }
        case 'content_block_stop': {
          if (open === null) throw new Error('a stop without a block')
          must(event['index'] === begun().content.length - 1, 'a stop of another block')
          if (open.block.type === 'thinking') must(open.isSigned, 'thinking ends without a signature')
          if (open.block.type === 'tool_use') open.block['input'] = parseInput(open.json)
          open = null
          return
        }
        case 'message_delta':
          must(open === null && !hasDelta, 'a message_delta in the middle')
          hasDelta = true
          Object.assign(begun(), event['delta'], { usage: event['usage'] })
          return
        case 'message_stop':
          must(hasDelta, 'a message_stop without message_delta')
          hasStopped = true
          return
        case 'error':
          error = event
          return
        default:
          throw new Error(`an unknown event: ${event.type}`)
      }
    },

    done(): Pick<Received, 'message' | 'error'> {
      if (error !== null)
        return { message: message ?? { content: [], stop_reason: null, stop_sequence: null, usage: null }, error }
      must(hasStopped, 'the stream has no message_stop')
      return { message: begun(), error }
    },
  }
}

function addDelta(open: { block: Block; json: string; isSigned: boolean }, delta: Record<string, unknown>): void {
  const { block } = open
  must(!open.isSigned, 'a delta after the signature')
  switch (`${block.type} ${String(delta['type'])}`) {
    case 'text text_delta':
      block['text'] = String(block['text']) + String(delta['text'])
      return
    case 'thinking thinking_delta':
      block['thinking'] = String(block['thinking']) + String(delta['thinking'])
      return
    case 'thinking signature_delta':
      block['signature'] = delta['signature']
      open.isSigned = true
      return
    case 'tool_use input_json_delta':
      open.json += String(delta['partial_json'])
      return
    default:
      throw new Error(`a ${String(delta['type'])} in a block of ${block.type}`)
  }
}

/** What is no JSON stays what it was written as. */
function parseInput(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return { _raw: json }
  }
}

function structuredCopy<T>(value: unknown): T {
  // The caller says what it reads; a test fails where that is not so.
  return JSON.parse(JSON.stringify(value)) as T
}

function must(isSo: boolean, otherwise: string): void {
  if (!isSo) throw new Error(otherwise)
}
