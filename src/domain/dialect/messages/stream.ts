/**
 * An engine's stream as Anthropic's events. Blocks never overlap there: what belongs to another block than a call whose
 * arguments are still coming waits for them. Rules M29–M35.
 */
import type { ChatPiece, ChatUsage, FinishReason } from '../chat.ts'
import { objectEnd } from '../object-end.ts'
import { chunkReader } from '../read-chat.ts'
import { toEvent } from '../sse.ts'
import type { StreamTranslator } from '../translation.ts'
import { emptyMessage, isBlank, readStop, toolId, toStop, toUsage, type MessageFrame } from './answer.ts'
import { toAnthropicFault } from './fault.ts'

type Spoken = 'thinking' | 'text'
/** What makes or continues a block, but for arguments. */
type Content = Exclude<ChatPiece, { kind: 'arguments' | 'finish' | 'usage' }>
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
  /** What waits for the open call's arguments, from `heldFrom` on; arguments wait beside, by their call. */
  let held: Content[] = []
  let heldFrom = 0
  const heldArguments = new Map<number, string[]>()
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
      while (isHolding()) {
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
    if (piece.kind === 'arguments') {
      if (open?.kind === 'tool_use' && open.call === piece.index) argue(open, piece.json)
      // To those of a call that was whole already, nothing can be added.
      else heldArguments.get(piece.index)?.push(piece.json)
      return
    }
    if (!isBusy() && !isHolding()) return place(piece)
    held.push(piece)
    if (piece.kind === 'tool-call') heldArguments.set(piece.index, [])
  }

  function place(piece: Content): void {
    switch (piece.kind) {
      case 'reasoning':
        return say('thinking', piece.text)
      case 'refusal':
        hasRefused = true
        return say('text', piece.text)
      case 'text':
        return say('text', piece.text)
      case 'tool-call':
        return beginCall(piece)
      default:
        return piece satisfies never
    }
  }

  function beginCall({ index: call, id, name }: Extract<Content, { kind: 'tool-call' }>): void {
    hasCalls = true
    const begun: Open = { kind: 'tool_use', call, ends: objectEnd(), isWhole: false, json: '' }
    begin(begun, { type: 'tool_use', id: toolId(frame, id, call), name, input: {} })
    for (const json of heldArguments.get(call) ?? []) if (!begun.isWhole) argue(begun, json)
    heldArguments.delete(call)
  }

  function takeHeld(): void {
    while (isHolding() && !isBusy()) {
      const next = held[heldFrom++]
      if (next !== undefined) place(next)
    }
    if (isHolding()) return
    held = []
    heldFrom = 0
  }

  function isHolding(): boolean {
    return heldFrom < held.length
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
