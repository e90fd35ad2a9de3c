/**
 * A streamed answer: server-sent events, passed on whole as the engine wrote them.
 * Nearly all events hold neither usage nor an error nor the end, and three searches for bytes tell so; only the others
 * are parsed. The end (`[DONE]`) is held back until the journal has the record.
 */
import { FaultError } from '../../domain/fault.ts'
import type { Exchange } from './exchange.ts'
import { answerHeaders, noteFirstByte, type Answer } from './answer.ts'
import { noteUsage } from './usage.ts'
import { wholeEvents } from './whole-events.ts'

export function streamAnswer(exchange: Exchange): Answer {
  const { reply } = exchange
  const eventsOf = wholeEvents()

  return {
    head(contentType) {
      if (!contentType.startsWith('text/event-stream')) {
        throw new FaultError({
          kind: 'engine-failed',
          status: 200,
          detail: `it answered a stream with ${contentType || 'no content type'}`,
        })
      }
      // Another replica's head may have gone out before it was lost.
      if (reply.headSent) return
      reply.head(200, {
        ...answerHeaders(exchange, 'text/event-stream; charset=utf-8'),
        'cache-control': 'no-cache',
        // Or nginx in front would gather tokens.
        'x-accel-buffering': 'no',
      })
      reply.flush()
    },

    data(chunk) {
      const events = eventsOf(chunk)
      if (events === null) return 'more'
      if (isPlain(events)) {
        noteFirstByte(exchange)
        return reply.write(events) ? 'more' : 'wait'
      }
      return passEvents(events)
    },

    end() {
      throw new FaultError({ kind: 'engine-lost', sentBytes: reply.sentBytes })
    },
  }

  /** Written as one piece, however many events there are: an engine may send thousands of comments at once. */
  function passEvents(events: Buffer): 'more' | 'wait' | 'complete' {
    let passed = ''
    let more = true
    try {
      for (const event of events.toString('utf8').replaceAll('\r\n', '\n').split('\n\n')) {
        if (event === '') continue
        const data = dataOf(event)
        if (data === '[DONE]') {
          exchange.lastBytes = Buffer.from(`${event}\n\n`)
          return 'complete'
        }
        if (data !== null && !passes(data)) continue
        if (data !== null) noteFirstByte(exchange)
        passed += `${event}\n\n`
      }
    } finally {
      // Also what came before an error.
      if (passed !== '') more = reply.write(Buffer.from(passed))
    }
    return more ? 'more' : 'wait'
  }

  /** Whether the client sees this event. Takes its usage; throws when it is the engine's error. */
  function passes(data: string): boolean {
    const parsed = parse(data)
    if (typeof parsed !== 'object' || parsed === null) {
      throw new FaultError({
        kind: 'engine-failed',
        status: 200,
        detail: 'an event of its stream is not a JSON object',
      })
    }
    if ('error' in parsed && parsed.error !== null) {
      throw new FaultError({ kind: 'engine-failed', status: 200, detail: messageOf(parsed.error) })
    }
    if (!('usage' in parsed) || parsed.usage === null) return true
    noteUsage(exchange, parsed.usage)
    const usageAlone = 'choices' in parsed && Array.isArray(parsed.choices) && parsed.choices.length === 0
    return exchange.ask?.wantsUsage === true || !usageAlone
  }
}

const usageMark = Buffer.from('"usage"')
const errorMark = Buffer.from('"error"')
const doneMark = Buffer.from('[DONE]')
const dataMark = Buffer.from('data:')

/** Data events and nothing that needs a look. A token may spell a mark: then it is looked at, and passes. */
function isPlain(events: Buffer): boolean {
  return (
    events.indexOf(dataMark) === 0 &&
    !events.includes(usageMark) &&
    !events.includes(errorMark) &&
    !events.includes(doneMark)
  )
}

/** The data of an event; `null`: it has none (a comment). */
function dataOf(event: string): string | null {
  const lines = event.split('\n').filter(line => line.startsWith('data:'))
  return lines.length === 0 ? null : lines.map(line => line.slice(5).trimStart()).join('\n')
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch (error) {
    throw new FaultError(
      { kind: 'engine-failed', status: 200, detail: 'an event of its stream is not JSON' },
      { cause: error },
    )
  }
}

function messageOf(error: unknown): string {
  if (typeof error === 'string') return error
  if (typeof error === 'object' && error !== null && 'message' in error && typeof error.message === 'string')
    return error.message
  return 'it sent an error'
}
