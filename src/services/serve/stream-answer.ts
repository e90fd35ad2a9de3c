/**
 * A streamed answer: server-sent events, passed on whole as the engine wrote them where client and engine speak the same.
 * Nearly all events hold neither usage nor an error nor the end nor anything to mend, and a few searches for bytes tell so;
 * only the others are parsed. The end is held back until the journal has the record.
 */
import { FaultError } from '../../domain/fault.ts'
import { fieldOf } from '../../domain/serving/index.ts'
import { answerHeaders, noteFirstByte, type Answer } from './answer.ts'
import type { Exchange } from './exchange.ts'
import { answerFailed, messageOf, parseAnswer, recordOf, refuseError, type Parsing } from './parse-answer.ts'
import { countPlainWithout } from './plain-events.ts'
import type { Repair } from './ports.ts'
import { estimateUsage, noteUsage } from './usage.ts'
import { wholeEvents } from './whole-events.ts'

export function streamAnswer(exchange: Exchange, repair: Repair | null): Answer {
  const { reply, translator, tee } = exchange
  const eventsOf = wholeEvents()
  const stream = translator?.stream() ?? null
  const looksAtAll = stream !== null || repair?.marks.length === 0
  const wantsUsage = exchange.ask?.wantsUsage === true
  const countPlain = countPlainWithout([...ownMarks, ...(repair?.marks ?? [])])
  /** As the engine told it last, and whether the client has it in a chunk of its own. */
  let usage: unknown = null
  let usageTold = false
  /** The first events of the answer, to make another like them. */
  let first: Buffer | null = null
  let lookedAtBytes = 0
  /** The head waits for the first piece: the live version may yet have to answer instead, under its own name. */
  let headWaits = false
  exchange.stream = stream

  return {
    head(contentType) {
      if (!contentType.startsWith('text/event-stream'))
        throw answerFailed(`it answered a stream with ${contentType || 'no content type'}`)
      // Another replica's head may have gone out before it was lost.
      if (reply.headSent) return
      if (exchange.mark?.arm === 'candidate') headWaits = true
      else sendHead()
    },

    data(chunk) {
      const whole = eventsOf(chunk)
      if (whole === null) return 'more'
      const events = first === null && whole.indexOf(byteOrderMark) === 0 ? whole.subarray(byteOrderMark.length) : whole
      const plain = looksAtAll ? null : countPlain(events)
      if (plain !== null) {
        exchange.pieces += plain
        tee?.events(events)
        first ??= events
        noteFirstByte(exchange)
        if (headWaits) sendHead()
        return reply.write(events) ? 'more' : 'wait'
      }
      first ??= events
      return passEvents(events)
    },

    end() {
      if (repair?.isComplete?.() !== true) throw new FaultError({ kind: 'engine-lost', sentBytes: reply.sentBytes })
      const last = stream === null ? 'data: [DONE]\n\n' : stream.end()
      if (headWaits) sendHead()
      exchange.lastBytes = Buffer.from(lastChunks() + last)
    },
  }

  function sendHead(): void {
    headWaits = false
    reply.head(200, {
      ...answerHeaders(exchange, 'text/event-stream; charset=utf-8'),
      'cache-control': 'no-cache',
      // Or nginx in front would gather tokens.
      'x-accel-buffering': 'no',
    })
    reply.flush()
  }

  /** Written as one piece, however many events there are: an engine may send thousands of comments at once. */
  function passEvents(events: Buffer): 'more' | 'wait' | 'complete' {
    let passed = ''
    let more = true
    lookedAtBytes += events.length
    if (lookedAtBytes > mostBytes) throw answerFailed(`its stream is longer than ${mostBytes} bytes`)
    try {
      for (const event of events.toString('utf8').replaceAll('\r\n', '\n').split('\n\n')) {
        if (event === '') continue
        const data = dataOf(event)
        if (data === '[DONE]') {
          passed += lastChunks()
          if (headWaits) sendHead()
          exchange.lastBytes = Buffer.from(stream === null ? 'data: [DONE]\n\n' : stream.end())
          return 'complete'
        }
        const told = data === null ? commentsOf(event) : toClient(data, event)
        if (data !== null && told !== '') noteFirstByte(exchange)
        passed += told
      }
    } finally {
      // Also what came before an error.
      if (passed !== '') {
        if (headWaits) sendHead()
        more = reply.write(Buffer.from(passed))
      }
    }
    return more ? 'more' : 'wait'
  }

  /** What the client gets of an event; '' is nothing. Takes its usage; throws when it is the engine's error. */
  function toClient(data: string, event: string): string {
    const parsed = parse(data)
    refuseError(parsed)
    if (/^event: ?error$/m.test(event)) throw answerFailed(messageOf(parsed))
    const chunk = repair === null ? parsed : repair.chunk(parsed)
    if (chunk === null) return ''
    exchange.pieces++
    tee?.chunk(chunk)
    const { usage: told, ...rest } = chunk
    if (told !== undefined && told !== null) {
      usage = told
      noteUsage(exchange, told)
    }
    if (stream !== null) return stream.chunk(chunk)
    if (told === undefined || told === null)
      return chunk === parsed ? `${event}\n\n` : `data: ${JSON.stringify(chunk)}\n\n`
    const isAlone = Array.isArray(chunk['choices']) && chunk['choices'].length === 0
    usageTold ||= isAlone
    if (isAlone) return wantsUsage ? `data: ${JSON.stringify(chunk)}\n\n` : ''
    // Clients add up what chunks tell, so it goes out once, last; unless they asked for a running count.
    return `data: ${JSON.stringify(wantsRunningUsage(exchange) ? chunk : rest)}\n\n`
  }

  /** The usage that a client asked for and an engine told elsewhere, or not at all: then an estimate that says so. */
  function lastChunks(): string {
    if (stream === null ? usageTold || !wantsUsage : usage !== null) return ''
    const data = first === null ? null : dataOf(first.toString('utf8').replaceAll('\r\n', '\n').split('\n\n')[0] ?? '')
    const { id, object, created, model } = data === null || data === '[DONE]' ? {} : parse(data)
    const empty = { id, object, created, model, choices: [] }
    const chunk = { ...(repair?.chunk(empty) ?? empty), usage: usage ?? estimateUsage(exchange) }
    return stream === null ? `data: ${JSON.stringify(chunk)}\n\n` : stream.chunk(chunk)
  }
}

/** vLLM's option: the usage so far in every chunk. */
function wantsRunningUsage({ ask }: Exchange): boolean {
  const options = ask === null ? null : fieldOf(ask, 'stream_options')
  return typeof options === 'object' && options !== null && 'continuous_usage_stats' in options
}

/** A token may spell a mark: then its event is looked at, and passes. */
const ownMarks = ['"usage"', '"error"', '[DONE]']
const byteOrderMark = Buffer.from('\uFEFF')
/** Of a stream whose events are parsed, since what they say is kept to its end. */
const mostBytes = 256 * 1024 * 1024
const eventParsing: Parsing = { what: 'an event of its stream', most: { values: 1_000_000, levels: 500 } }

/** The data of an event; `null`: it has none (a comment). */
function dataOf(event: string): string | null {
  const lines = event.split('\n').filter(line => line.startsWith('data:'))
  return lines.length === 0 ? null : lines.map(line => line.slice(5).trim()).join('\n')
}

/** An event without data is nothing to a client, but comments keep its connection. */
const commentsOf = (event: string): string =>
  event.split('\n').every(line => line.startsWith(':')) ? `${event}\n\n` : ''

const parse = (data: string): Record<string, unknown> => recordOf(parseAnswer(data, eventParsing), eventParsing.what)
