/** Engines' answers, whole and streamed, as responses; and what is kept of them. Rules S20–S29. */
import type { HttpFault } from '../../fault.ts'
import type { ChatAnswer, ChatMessage, ChatPiece } from '../chat.ts'
import { chunkReader, readAnswer } from '../read-chat.ts'
import { toEvent } from '../sse.ts'
import type { AnswerTranslator, KeptResponse, StreamTranslator } from '../translation.ts'
import { responseId } from './ids.ts'
import { readItems } from './input.ts'
import { openOutput, type Output, type OutputParts, type ResponseEvent } from './output.ts'
import { toResponse, type ResponseHead, type ResponseState } from './response.ts'

export type AnswerParts = {
  head: ResponseHead
  output: OutputParts
  /** The conversation that is answered; `null`: nothing is kept. */
  turns: readonly ChatMessage[] | null
}

export function toAnswers({ head, output: parts, turns }: AnswerParts): AnswerTranslator {
  let kept: KeptResponse | null = null

  return {
    whole(completion) {
      const output = openOutput(parts)
      for (const piece of piecesOf(readAnswer(completion))) output.take(piece)
      output.end()
      return answered(output)
    },
    stream: openStream,
    kept: () => kept,
  }

  function openStream(): StreamTranslator {
    const output = openOutput(parts)
    const read = chunkReader()
    let begun = false
    let count = 0

    return {
      chunk: chunk => begin() + write(read(chunk).flatMap(piece => output.take(piece))),
      end() {
        const begins = begin()
        const ends = write(output.end())
        const response = answered(output)
        return begins + ends + write([{ type: `response.${String(response['status'])}`, response }])
      },
      fail: error => begin() + write(failure(error)),
    }

    function begin(): string {
      if (begun) return ''
      begun = true
      const response = respond({ status: 'in_progress' })
      return write([
        { type: 'response.created', response },
        { type: 'response.in_progress', response },
      ])
    }

    /** Codex reads the first of these. The API's own libraries end the stream with an exception at the second. */
    function failure({ body: { error } }: HttpFault): ResponseEvent[] {
      const { message, param, code } = error
      const told = { code: code ?? 'server_error', message }
      return [
        {
          type: 'response.failed',
          response: respond({ status: 'failed', output: output.items(), error: told }),
        },
        { type: 'error', ...told, param, error },
      ]
    }

    function write(events: readonly ResponseEvent[]): string {
      return events.map(({ type, ...fields }) => toEvent({ type, sequence_number: count++, ...fields })).join('')
    }
  }

  function answered(output: Output): Record<string, unknown> {
    const items = output.items()
    const { finish, usage } = output
    const response = respond({ status: 'answered', output: items, finish, usage })
    kept = turns === null ? null : keep(turns)
    return response

    /** As if the client had sent the items back itself. */
    function keep(before: readonly ChatMessage[]): KeptResponse {
      const placed = items.map((item, index) => ({ item, at: `output[${index}]` }))
      const said = readItems(placed, { tools: parts.tools, before, refuse: () => {}, previous: () => null })
      return { id: responseId(head.id), response, turns: { messages: [...before, ...said], output: items } }
    }
  }

  function respond(state: ResponseState): Record<string, unknown> {
    return toResponse(head, state)
  }
}

/** A whole answer as a stream of one piece of each kind. */
function piecesOf({ reasoning, text, refusal, toolCalls, finish, usage }: ChatAnswer): ChatPiece[] {
  const pieces: ChatPiece[] = []
  if (reasoning !== '') pieces.push({ kind: 'reasoning', text: reasoning })
  if (text !== '') pieces.push({ kind: 'text', text })
  if (refusal !== '') pieces.push({ kind: 'refusal', text: refusal })
  for (const [index, call] of toolCalls.entries()) {
    pieces.push({ kind: 'tool-call', index, id: call.id, name: call.function.name })
    pieces.push({ kind: 'arguments', index, json: call.function.arguments })
  }
  pieces.push({ kind: 'finish', reason: finish })
  if (usage !== null) pieces.push({ kind: 'usage', usage })
  return pieces
}
