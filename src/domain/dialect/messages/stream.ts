/**
 * An engine's stream as Anthropic's events. Blocks never overlap there: what belongs to another block than a call whose
 * arguments are still coming waits for them. Rules M29–M35.
 */
import type { ChatPiece, ChatUsage, FinishReason } from '../chat.ts'
import { chunkReader } from '../read-chat.ts'
import { toEvent } from '../sse.ts'
import type { StreamTranslator } from '../translation.ts'
import { emptyMessage, isBlank, readStop, toolId, toStop, toUsage, type MessageFrame } from './answer.ts'
import { toAnthropicFault } from './fault.ts'
import { objectEnd } from './object-end.ts'

type Spoken = 'thinking' | 'text'
/** `call` is the call's number in the answer; `isWhole`: its arguments are a whole value, and another block may begin. */
type Open =
  | { kind: Spoken }
  | { kind: 'tool_use'; call: number; ends: (json: string) => boolean; isWhole: boolean; json: string }

export function streamMessage(frame: MessageFrame): StreamTranslator {
  const read = chunkReader()
  let phase: 'before' | 'within' | 'over' = 'before'
  let events = ''
  let open: Open | null = null
  let blocks = 0
  /** Blanks that a block would begin with: it begins with something. */
  let lead = { kind: 'text' as Spoken, text: '' }
  /** What waits for the open call's arguments. */
  let held: ChatPiece[] = []
  let finish: FinishReason = 'stop'
  let usage: ChatUsage | null = null
  let stop: string | null = null
  let hasCalls = false
  let hasRefused = false

  return {
    chunk(chunk) {
      if (phase === 'over') return ''
      const pieces = read(chunk)
      stop ??= readStop(chunk, frame)
      for (const piece of pieces) if (piece.kind === 'usage') usage = piece.usage
      start()
      for (const piece of pieces) {
        take(piece)
        takeHeld()
      }
      return taken()
    },

    end() {
      if (phase === 'over') return ''
      start()
      while (held.length > 0) {
        close()
        takeHeld()
      }
      close()
      if (blocks === 0) {
        begin({ kind: 'text' }, { type: 'text', text: '' })
        close()
      }
      const delta = toStop({ finish, hasCalls, hasRefused, stop })
      emit({ type: 'message_delta', delta, usage: toUsage(usage) })
      emit({ type: 'message_stop' })
      phase = 'over'
      return taken()
    },

    fail(error) {
      if (phase === 'over') return ''
      phase = 'over'
      return toEvent(toAnthropicFault(error, frame.request))
    },
  }

  function start(): void {
    if (phase !== 'before') return
    phase = 'within'
    emit({ type: 'message_start', message: { ...emptyMessage(frame), usage: toUsage(usage) } })
  }

  function take(piece: ChatPiece): void {
    if (piece.kind === 'finish') finish = piece.reason
    if (piece.kind === 'finish' || piece.kind === 'usage') return
    if (piece.kind === 'arguments' && open?.kind === 'tool_use' && open.call === piece.index)
      return argue(open, piece.json)
    if (isBusy() || held.length > 0) {
      held.push(piece)
      return
    }
    switch (piece.kind) {
      case 'reasoning':
        return say('thinking', piece.text)
      case 'refusal':
        hasRefused = true
        return say('text', piece.text)
      case 'text':
        return say('text', piece.text)
      case 'tool-call':
        hasCalls = true
        return begin(
          { kind: 'tool_use', call: piece.index, ends: objectEnd(), isWhole: false, json: '' },
          { type: 'tool_use', id: toolId(frame, piece.id, piece.index), name: piece.name, input: {} },
        )
      case 'arguments':
        // Of a call whose arguments were whole already: nothing can be added to them.
        return
      default:
        return piece satisfies never
    }
  }

  function takeHeld(): void {
    while (held.length > 0 && !isBusy()) {
      const waiting = held
      held = []
      for (const piece of waiting) take(piece)
    }
  }

  function isBusy(): boolean {
    return open?.kind === 'tool_use' && !open.isWhole
  }

  function argue(call: Extract<Open, { kind: 'tool_use' }>, json: string): void {
    call.isWhole = call.ends(json) || call.isWhole
    call.json += json
    emit({ type: 'content_block_delta', index: blocks - 1, delta: { type: 'input_json_delta', partial_json: json } })
  }

  function say(kind: Spoken, piece: string): void {
    let text = piece
    if (open?.kind !== kind) {
      if (lead.kind === kind) text = lead.text + text
      if (isBlank(text)) {
        lead = { kind, text }
        return
      }
      begin({ kind }, kind === 'text' ? { type: kind, text: '' } : { type: kind, thinking: '', signature: '' })
    }
    lead = { kind, text: '' }
    const delta = kind === 'text' ? { type: 'text_delta', text } : { type: 'thinking_delta', thinking: text }
    emit({ type: 'content_block_delta', index: blocks - 1, delta })
  }

  function begin(block: Open, content: Record<string, unknown>): void {
    close()
    open = block
    lead = { kind: 'text', text: '' }
    emit({ type: 'content_block_start', index: blocks, content_block: content })
    blocks++
  }

  function close(): void {
    if (open === null) return
    if (open.kind === 'tool_use' && isBlank(open.json)) argue(open, '{}')
    const index = blocks - 1
    if (open.kind === 'thinking')
      emit({ type: 'content_block_delta', index, delta: { type: 'signature_delta', signature: '' } })
    emit({ type: 'content_block_stop', index })
    open = null
  }

  function emit(event: Parameters<typeof toEvent>[0]): void {
    events += toEvent(event)
  }

  function taken(): string {
    const told = events
    events = ''
    return told
  }
}
