/** What a chat's answer says: thought, text and calls, out of the text that the model writes. */
import { openToolText } from '../../domain/dialect/index.ts'
import type { OfferedTool, Said } from '../../domain/dialect/index.ts'
import { makeId } from './call.ts'
import { openCallReader } from './forced-call.ts'
import type { CallPiece, Tool } from './forced-call.ts'
import type { Generated } from './generation.ts'
import { openThoughtReader } from './thought.ts'

type ToolCall = { id: string; type: 'function'; function: { name: string; arguments: string } }
type CallDelta = { index: number; id?: string; type?: 'function'; function: { name?: string; arguments: string } }
export type Delta = { content: string } | { reasoning_content: string } | { tool_calls: CallDelta[] }
type Message = { content: string | null; reasoning_content?: string; tool_calls?: ToolCall[] }

/** Turns the text of an answer into deltas, and keeps the whole message. */
export type Reader = {
  push(text: string): Delta[]
  /** What was held back, once the answer is over. */
  end(): Delta[]
  /** Nothing more of the answer is wanted. */
  hasEnough(): boolean
  message(): Message
  finish(generated: Generated['finish']): string
}

type Expected = {
  tools: readonly OfferedTool[]
  mostCalls: number
  /** Thought may stand in front of the answer; `isThinking`: it has begun. */
  thinks: boolean
  isThinking: boolean
}

/** An answer in the model's own words, which may call tools. */
export function readText({ tools, mostCalls, thinks, isThinking }: Expected): Reader {
  const thoughts = thinks ? openThoughtReader(isThinking) : null
  const words = tools.length > 0 ? openToolText(tools) : null
  const calls: ToolCall[] = []
  let content = ''
  let reasoning = ''

  function toDelta(said: Said): Delta[] {
    if ('text' in said) {
      content += said.text
      return [{ content: said.text }]
    }
    return said.calls.slice(0, mostCalls - calls.length).map(called => {
      const call: ToolCall = { id: makeId('call'), type: 'function', function: { ...called } }
      calls.push(call)
      return { tool_calls: [{ index: calls.length - 1, ...call }] }
    })
  }
  function toWords(text: string): Delta[] {
    if (calls.length >= mostCalls) return []
    return (words === null ? [{ text }] : words.push(text)).flatMap(toDelta)
  }

  return {
    push(text) {
      if (thoughts === null) return toWords(text)
      return thoughts.push(text).flatMap(one => ('text' in one ? toWords(one.text) : toThought(one.thought)))
    },
    end() {
      const last = (thoughts?.end() ?? []).flatMap(one => ('text' in one ? toWords(one.text) : toThought(one.thought)))
      return calls.length >= mostCalls ? last : [...last, ...(words?.end() ?? []).flatMap(toDelta)]
    },
    hasEnough: () => calls.length >= mostCalls,
    message: () => ({
      content: calls.length > 0 && content.trim() === '' ? null : content,
      ...(reasoning !== '' && { reasoning_content: reasoning }),
      ...(calls.length > 0 && { tool_calls: calls }),
    }),
    finish: generated => (generated === 'stop' && calls.length > 0 ? 'tool_calls' : generated),
  }

  function toThought(thought: string): Delta[] {
    reasoning += thought
    return [{ reasoning_content: thought }]
  }
}

/** An answer that a grammar holds to one call. */
export function readCall(tools: readonly Tool[]): Reader {
  const reader = openCallReader(tools)
  const id = makeId('call')
  let made: ToolCall | null = null
  const toDelta = (piece: CallPiece): Delta => {
    if ('name' in piece) {
      made = { id, type: 'function', function: { name: piece.name, arguments: '' } }
      return { tool_calls: [{ index: 0, id, type: 'function', function: { name: piece.name, arguments: '' } }] }
    }
    if (made !== null) made.function.arguments += piece.arguments
    return { tool_calls: [{ index: 0, function: { arguments: piece.arguments } }] }
  }
  return {
    push: text => reader.push(text).map(toDelta),
    end: () => [],
    hasEnough: () => false,
    message: () => ({ content: null, ...(made !== null && { tool_calls: [made] }) }),
    // As llama-server does, for a named function too; OpenAI says 'stop' there, and clients look for the calls.
    finish: generated => (generated === 'stop' ? 'tool_calls' : 'length'),
  }
}
