/** A conversation as Anthropic's clients tell it, as chat messages. Rules M2, M3 and M8–M13. */
import type { ChatMessage, ContentPart, ToolCall } from '../chat.ts'
import {
  joined,
  partsOf,
  readBlocks,
  readToolResult,
  saysNothing,
  textsOf,
  toContent,
  unknownBlock,
} from './content.ts'
import { listAt, nameAt, optional, plainAt, recordAt, refuse, textAt, told, type Json } from './place.ts'

export function readTurns(system: unknown, messages: unknown): ChatMessage[] {
  const all = listAt(messages, 'messages').map((message, index) => readMessage(message, `messages.${index}`))
  const lastUser = all.findLastIndex(({ role }) => role === 'user')
  const shown = all.filter(({ isForOneTurn }, index) => !isForOneTurn || index > lastUser)
  const first = shown.findIndex(({ role }) => role !== 'system')
  if (first === -1) throw refuse('messages', "'messages' must hold at least one message of the user.")
  const instructions = joined([
    ...(system === undefined || system === null ? [] : readSystem(system, 'system')),
    ...shown.slice(0, first).flatMap(systemTexts),
  ])
  return [
    ...(instructions === '' ? [] : [{ role: 'system' as const, content: instructions }]),
    ...turnsOf(shown.slice(first)).flatMap(turn =>
      turn.by === 'user' ? readUserTurn(turn.messages) : [readAssistantTurn(turn.messages)],
    ),
  ]
}

/** `isForOneTurn`: it says nothing any more once the user has spoken again. */
type Told = { role: 'user' | 'assistant' | 'system'; content: unknown; at: string; isForOneTurn: boolean }
type Turn = { by: 'user' | 'assistant'; messages: Told[] }

function readMessage(message: unknown, at: string): Told {
  const { role, content, clear_at: clearAt } = recordAt(message, at)
  if (role !== 'user' && role !== 'assistant' && role !== 'system')
    throw refuse(`${at}.role`, `'${at}.role' must be user, assistant or system; it is ${told(role)}.`)
  const isForOneTurn = role === 'system' && clearAt === 'next_user_message'
  // A system message may only set something.
  const said = role === 'system' ? (content ?? []) : content
  return { role, content: said, at: `${at}.content`, isForOneTurn }
}

/** Messages that follow one another from one side are one turn; what the system says later is told with the user's. */
function turnsOf(messages: readonly Told[]): Turn[] {
  const turns: Turn[] = []
  for (const message of messages) {
    const by = message.role === 'assistant' ? 'assistant' : 'user'
    const turn = turns.at(-1)
    if (turn?.by === by) turn.messages.push(message)
    else turns.push({ by, messages: [message] })
  }
  return turns
}

function readUserTurn(messages: readonly Told[]): ChatMessage[] {
  const results: ChatMessage[] = []
  const shown: ContentPart[][] = []
  const said: ContentPart[][] = []
  for (const message of messages) {
    if (message.role === 'system') {
      const text = joined(systemTexts(message))
      if (text !== '') said.push([{ type: 'text', text: `<system-reminder>\n${text}\n</system-reminder>` }])
      continue
    }
    said.push(
      readBlocks(message.content, message.at, (block, at) => {
        if (saysNothing(block)) return []
        if (block['type'] !== 'tool_result') return partsOf(block, at)
        const { id, text, images } = readToolResult(block, at)
        results.push({ role: 'tool', tool_call_id: id, content: text })
        if (images.length > 0) shown.push([{ type: 'text', text: `From the result of ${id}:` }, ...images])
        return []
      }),
    )
  }
  const parts = [...shown, ...said].flat()
  if (parts.length === 0 && (results.length > 0 || messages.every(({ role }) => role === 'system'))) return results
  return [...results, { role: 'user', content: toContent(parts) }]
}

type Said = { text: string; reasoning: string; calls: ToolCall[] }

/** Blocks are pieces of what was said, and join as they stand; messages are apart. */
function readAssistantTurn(messages: readonly Told[]): ChatMessage {
  const said = messages.map(readAssistant)
  const text = joined(said.map(one => one.text))
  const reasoning = joined(said.map(one => one.reasoning))
  const calls = said.flatMap(one => one.calls)
  return {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }
}

function readAssistant({ content, at }: Told): Said {
  const said: Said = { text: '', reasoning: '', calls: [] }
  readBlocks(content, at, (block, place) => {
    switch (block['type']) {
      case 'text':
        said.text += textAt(block['text'], `${place}.text`)
        break
      case 'thinking':
        said.reasoning += textAt(block['thinking'], `${place}.thinking`)
        break
      case 'tool_use':
        said.calls.push(readCall(block, place))
        break
      default:
        if (!saysNothing(block)) throw unknownBlock(block, place, 'text, thinking, redacted_thinking, tool_use')
    }
    return []
  })
  return said
}

function readCall(block: Json, at: string): ToolCall {
  const input = optional(block['input'], `${at}.input`, plainAt) ?? {}
  return {
    id: nameAt(block['id'], `${at}.id`),
    type: 'function',
    function: { name: nameAt(block['name'], `${at}.name`), arguments: JSON.stringify(input) },
  }
}

const systemTexts = ({ content, at }: Told): string[] => readSystem(content, at)

/** Claude Code's first block is for Anthropic's accounts and changes with each request: no engine could reuse its cache. */
function readSystem(system: unknown, at: string): string[] {
  return readBlocks(system, at, textsOf).map(text => text.replace(/^x-anthropic-billing-header:[^\n]*\n*/, ''))
}
