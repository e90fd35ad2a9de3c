/** An answer's output items and the events that tell of them, from its pieces as they come. Rules S20–S28. */
import type { ChatPiece, ChatUsage, FinishReason } from '../chat.ts'
import type { RequestId } from '../../units.ts'
import { inputReader, type InputReader } from './custom-input.ts'
import { freeCallId, itemId } from './ids.ts'
import { isJson, type Json } from './refuse.ts'
import { toEncryptedContent } from './thought.ts'
import type { NamedTool, Toolset } from './tools.ts'

/** An event of the stream; whoever writes it numbers it. */
export type ResponseEvent = { type: string; [field: string]: unknown }

export type OutputParts = {
  id: RequestId
  tools: Toolset
  /** The ids of the conversation's calls. */
  takenCallIds: ReadonlySet<string>
  /** The client wants the thought also as `encrypted_content`. */
  encryptsThought: boolean
}

export interface Output {
  take(piece: ChatPiece): ResponseEvent[]
  /** The answer is complete: closes what is open. */
  end(): ResponseEvent[]
  /** The items as they are; open ones are incomplete. */
  items(): Json[]
  readonly finish: FinishReason
  readonly usage: ChatUsage | null
}

/** Thought or speech: one at a time, closed when something else begins. */
type Speech = { type: 'reasoning' | 'message'; at: Place; status: Status; parts: Part[] }
/** Calls stay open to the end: an engine may write several at once. */
type Call = {
  type: 'call'
  at: Place
  status: Status
  tool: NamedTool
  callId: string
  json: string
  input: InputReader | null
  text: string
}
type Item = Speech | Call
type Place = { item_id: string; output_index: number }
type Part = { type: 'reasoning_text' | 'output_text' | 'refusal'; text: string }

export function openOutput({ id, tools, takenCallIds, encryptsThought }: OutputParts): Output {
  const items: Item[] = []
  /** By the engine's count, in which one may be missing. */
  const calls = new Map<number, Call>()
  const callIds = new Set(takenCallIds)
  let events: ResponseEvent[] = []
  let finish: FinishReason = 'stop'
  let usage: ChatUsage | null = null

  return {
    take(piece) {
      takePiece(piece)
      return flush()
    },
    end() {
      // A client that looks for a message finds one, however little was said.
      if (items.length === 0) openPart('message', 'output_text')
      for (const call of calls.values()) endCall(call)
      closeSpeech(wasCut() ? 'incomplete' : 'completed')
      return flush()
    },
    items: () => items.map(item => toItem(item, item.status === 'in_progress' ? 'incomplete' : item.status)),
    get finish() {
      return finish
    },
    get usage() {
      return usage
    },
  }

  function takePiece(piece: ChatPiece): void {
    switch (piece.kind) {
      case 'reasoning':
        return addText(openPart('reasoning', 'reasoning_text'), piece.text)
      case 'text':
        return addText(openPart('message', 'output_text'), piece.text)
      case 'refusal':
        return addText(openPart('message', 'refusal'), piece.text)
      case 'tool-call':
        return openCall(piece)
      case 'arguments': {
        const call = calls.get(piece.index)
        return call === undefined ? undefined : addArguments(call, piece.json)
      }
      case 'finish':
        finish = piece.reason
        return
      case 'usage':
        usage = piece.usage
        return
      default:
        return piece satisfies never
    }
  }

  /** The part that a piece of text goes to; the last one, or a new one after it. */
  function openPart(type: Speech['type'], partType: Part['type']): Speech {
    const last = items.at(-1)
    const item =
      last !== undefined && last.type !== 'call' && last.type === type && last.status === 'in_progress'
        ? last
        : openItem(type)
    const { parts } = item
    if (parts.at(-1)?.type === partType) return item
    closePart(item)
    const part: Part = { type: partType, text: '' }
    parts.push(part)
    emit('response.content_part.added', { ...item.at, content_index: parts.length - 1, part: toPart(part) })
    return item
  }

  function openItem(type: Speech['type']): Speech {
    closeSpeech('completed')
    const item: Speech = { at: placeOf(type), type, status: 'in_progress', parts: [] }
    items.push(item)
    emit('response.output_item.added', {
      output_index: item.at.output_index,
      item: toItem(item, item.status),
    })
    return item
  }

  function addText(item: Speech, delta: string): void {
    const part = item.parts.at(-1)
    if (part === undefined) return
    part.text += delta
    const place = { ...item.at, content_index: item.parts.length - 1 }
    if (part.type === 'output_text') emit('response.output_text.delta', { ...place, delta, logprobs: [] })
    else emit(`response.${part.type}.delta`, { ...place, delta })
  }

  function closePart(item: Speech): void {
    const part = item.parts.at(-1)
    if (part === undefined) return
    const place = { ...item.at, content_index: item.parts.length - 1 }
    const { text } = part
    if (part.type === 'output_text') emit('response.output_text.done', { ...place, text, logprobs: [] })
    else if (part.type === 'refusal') emit('response.refusal.done', { ...place, refusal: text })
    else emit('response.reasoning_text.done', { ...place, text })
    emit('response.content_part.done', { ...place, part: toPart(part) })
  }

  function closeSpeech(status: Status): void {
    const last = items.at(-1)
    if (last === undefined || last.type === 'call' || last.status !== 'in_progress') return
    closePart(last)
    closeItem(last, status)
  }

  function openCall({ index, id: given, name }: Extract<ChatPiece, { kind: 'tool-call' }>): void {
    closeSpeech('completed')
    const tool = tools.behind(name)
    const isCustom = tool.kind === 'custom'
    const callId = freeCallId(given, id, callIds)
    callIds.add(callId)
    const call: Call = {
      at: placeOf(isCustom ? 'custom_tool_call' : 'function_call'),
      type: 'call',
      status: 'in_progress',
      tool,
      callId,
      json: '',
      input: isCustom ? inputReader() : null,
      text: '',
    }
    calls.set(index, call)
    items.push(call)
    emit('response.output_item.added', { output_index: call.at.output_index, item: toItem(call, 'in_progress') })
  }

  function addArguments(call: Call, json: string): void {
    call.json += json
    addCallText(call, call.input === null ? json : call.input.add(json))
  }

  function addCallText(call: Call, delta: string): void {
    if (delta === '') return
    call.text += delta
    const type = call.input === null ? 'function_call_arguments' : 'custom_tool_call_input'
    emit(`response.${type}.delta`, { ...call.at, delta })
  }

  function endCall(call: Call): void {
    // A client would run it: what the model did not finish is never said to be done.
    if (wasCut() && !isWhole(call.json)) return
    if (call.input !== null) {
      addCallText(call, call.input.end())
      emit('response.custom_tool_call_input.done', { ...call.at, input: call.text })
    } else {
      if (call.text === '') addCallText(call, '{}')
      emit('response.function_call_arguments.done', { ...call.at, name: call.tool.name, arguments: call.text })
    }
    closeItem(call, 'completed')
  }

  function closeItem(item: Item, status: Status): void {
    item.status = status
    emit('response.output_item.done', { output_index: item.at.output_index, item: toItem(item, status) })
  }

  function wasCut(): boolean {
    return finish === 'length' || finish === 'content_filter'
  }

  function placeOf(type: Parameters<typeof itemId>[1]): Place {
    return { item_id: itemId(id, type, items.length), output_index: items.length }
  }

  function toItem(item: Item, status: Status): Json {
    const { item_id } = item.at
    switch (item.type) {
      case 'message':
        return { id: item_id, type: 'message', status, role: 'assistant', content: item.parts.map(toPart) }
      case 'reasoning': {
        const content = item.parts.map(toPart)
        const shared = { id: item_id, type: 'reasoning', status, summary: [], content }
        if (!encryptsThought) return shared
        const thought = item.parts.map(({ text }) => text).join('')
        return { ...shared, encrypted_content: status === 'in_progress' ? null : toEncryptedContent(thought) }
      }
      case 'call':
        return toCallItem(item, status)
      default:
        return item satisfies never
    }
  }

  function emit(type: string, fields: Record<string, unknown>): void {
    events.push({ type, ...fields })
  }

  function flush(): ResponseEvent[] {
    const told = events
    events = []
    return told
  }
}

type Status = 'in_progress' | 'completed' | 'incomplete'

function toCallItem({ at, tool, callId, input, text }: Call, status: Status): Json {
  const { name, namespace } = tool
  const named = { call_id: callId, name, ...(namespace === null ? {} : { namespace }) }
  if (input !== null) return { id: at.item_id, type: 'custom_tool_call', status, ...named, input: text }
  return { id: at.item_id, type: 'function_call', status, ...named, arguments: text }
}

function toPart({ type, text }: Part): Json {
  switch (type) {
    case 'output_text':
      return { type, text, annotations: [], logprobs: [] }
    case 'refusal':
      return { type, refusal: text }
    case 'reasoning_text':
      return { type, text }
    default:
      return type satisfies never
  }
}

function isWhole(json: string): boolean {
  try {
    return isJson(JSON.parse(json))
  } catch {
    return false
  }
}
