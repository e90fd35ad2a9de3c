/** Input items, as chat messages. Rules S5–S15. */
import type { ChatMessage, ToolCall } from '../chat.ts'
import type { PreviousTurns } from '../translation.ts'
import { readContent, readText, told } from './content.ts'
import { toCustomArguments } from './custom-input.ts'
import { responseIdOf } from './ids.ts'
import { fieldReader, isJson, isList, isText, type Json, type Refuse } from './refuse.ts'
import { readThought } from './thought.ts'
import type { NamedTool, Toolset } from './tools.ts'

export type InputReading = {
  tools: Toolset
  refuse: Refuse
  /** The conversation that the items go on from. */
  before: readonly ChatMessage[]
  previous: (responseId: string) => PreviousTurns | null
}

type Assistant = Extract<ChatMessage, { role: 'assistant' }>

/** The messages of the items alone; those before are only looked at. */
export function readInput(input: unknown, reading: InputReading): ChatMessage[] {
  const { refuse } = reading
  if (isText(input)) return [{ role: 'user', content: input }]
  if (!isList(input)) {
    refuse('input', "'input' must be a string or an array of items: what the model is to answer.")
    return []
  }
  return readItems(
    input.map((item, index) => ({ item, at: `input[${index}]` })),
    reading,
  )
}

type Placed = { item: unknown; at: string }

export function readItems(items: readonly Placed[], { tools, refuse, before, previous }: InputReading): ChatMessage[] {
  const messages: ChatMessage[] = []
  const calls = new Set(before.flatMap(message => callsOf(message).map(({ id }) => id)))
  /** The assistant's message under way: thought, text and calls of one turn come as items of their own. */
  let turn: Turn | null = null
  let broughtCharacters = 0

  for (const { item, at } of items) readItem(item, at)
  endTurn()
  return messages

  function readItem(item: unknown, at: string): void {
    if (!isJson(item)) return refuse(at, `'${at}' must be an item, an object.`)
    const type = item['type'] ?? (item['role'] === undefined ? 'item_reference' : 'message')
    switch (type) {
      case 'message':
        return readMessage(item, at)
      case 'reasoning':
        return addThought(readThought(item))
      case 'function_call':
      case 'custom_tool_call':
        return readCall(item, at)
      case 'local_shell_call':
      case 'shell_call':
      case 'apply_patch_call':
        return readClientCall(item, at)
      case 'function_call_output':
      case 'custom_tool_call_output':
      case 'local_shell_call_output':
      case 'shell_call_output':
      case 'apply_patch_call_output':
        return readOutput(item, at)
      case 'item_reference':
        return readReference(item, at)
      default:
        return readOther(type, at)
    }
  }

  function readMessage(item: Json, at: string): void {
    const { content } = item
    const place = `${at}.content`
    switch (item['role']) {
      case 'user':
        endTurn()
        messages.push({ role: 'user', content: readContent(content, place, refuse) })
        return
      case 'system':
      case 'developer':
        endTurn()
        messages.push({
          role: 'system',
          content: readText(content, place, { refuse, whose: 'a message of instructions', join: '\n' }),
        })
        return
      case 'assistant':
        return addText(readText(content, place, { refuse, whose: "an assistant's message", join: '' }))
      default:
        return refuse(
          `${at}.role`,
          `'${at}.role' must be 'user', 'assistant', 'system' or 'developer'; it is ${told(item['role'])}. What a tool gave is an item of type 'function_call_output'.`,
        )
    }
  }

  function readCall(item: Json, at: string): void {
    const read = fieldReader(item, at, refuse)
    const isCustom = item['type'] === 'custom_tool_call'
    const tool: NamedTool = {
      kind: isCustom ? 'custom' : 'function',
      name: read.text('name', "the tool's name"),
      namespace: read.optional('namespace', isText, 'a string'),
    }
    const json = isCustom
      ? toCustomArguments(read.text('input', "the call's input"))
      : read.text('arguments', "the call's arguments as JSON")
    const id = read.text('call_id', "the call's id")
    // A call that was cut short was never made: no output belongs to it, and half an object breaks chat templates.
    if (item['status'] === 'incomplete') return
    addCall(id, tools.chatName(tool), json)
  }

  /** Calls of tools that the client runs itself: history of another model, told as calls of a function. */
  function readClientCall(item: Json, at: string): void {
    const read = fieldReader(item, at, refuse)
    const name = read.text('type', 'the kind of call').slice(0, -'_call'.length)
    const did = item['action'] ?? item['operation']
    if (!isJson(did)) return refuse(at, `'${at}' must say what was done: an 'action' or an 'operation', an object.`)
    const plain = Object.entries(did).filter(([, value]) => (isList(value) ? value.every(isText) : !isJson(value)))
    const id = isText(item['call_id']) ? item['call_id'] : read.text('id', "the call's id")
    addCall(id, name, JSON.stringify(Object.fromEntries(plain)))
  }

  function readOutput(item: Json, at: string): void {
    const read = fieldReader(item, at, refuse)
    const id = isText(item['call_id']) ? item['call_id'] : read.text('id', 'the id of the call that gave this output')
    endTurn()
    if (!calls.has(id))
      return refuse(
        at,
        `'${at}' is the output of the call ${told(id)}, and no call before it has this id. Send the call too, or the 'previous_response_id' of the answer that made it.`,
      )
    messages.push({ role: 'tool', tool_call_id: id, content: readResult(item, `${at}.output`) })
  }

  function readResult(item: Json, at: string): Extract<ChatMessage, { role: 'tool' }>['content'] {
    const { output } = item
    // A patch that went well may say nothing more than so.
    if ((output === undefined || output === null) && isText(item['status'])) return item['status']
    if (item['type'] !== 'shell_call_output' || !isList(output)) return readContent(output, at, refuse)
    const runs = output.map(run => (isJson(run) ? [run['stdout'], run['stderr']].filter(isText) : []))
    return runs.flat().join('\n')
  }

  function readReference(item: Json, at: string): void {
    const id = fieldReader(item, at, refuse).text('id', 'the id of an item')
    const responseId = responseIdOf(id)
    const found = responseId === null ? undefined : previous(responseId)?.output.find(output => output['id'] === id)
    if (found !== undefined) {
      broughtCharacters += broughtCharacters > mostBrought ? 0 : JSON.stringify(found).length
      if (broughtCharacters <= mostBrought) return readItem(found, at)
      return refuse(
        at,
        `'${at}' and the items referred to before it hold more than ${mostBrought} characters together. Name the last answer in 'previous_response_id' instead.`,
      )
    }
    refuse(
      `${at}.id`,
      `'${at}' refers to the item ${told(id)}, which is not kept here: answers stay in the gateway's memory for a while, unless 'store' is false. Send the item itself.`,
    )
  }

  function readOther(type: unknown, at: string): void {
    if (isText(type) && leftOut.has(type)) return
    if (isText(type) && /compaction/.test(type))
      return refuse(
        `${at}.type`,
        `'${at}' is a conversation that its vendor compacted and encrypted: it cannot be read here. Send the conversation itself.`,
      )
    refuse(
      `${at}.type`,
      `'${at}.type' is ${told(type)}, which is not known here. Items are messages, reasoning, function and custom tool calls, and their outputs.`,
    )
  }

  function addThought(thought: string): void {
    if (thought === '') return
    // After text it belongs to what comes next; between calls it is of the turn that makes them.
    if (turn !== null && turn.text !== null && turn.calls.length === 0) endTurn()
    turn ??= newTurn()
    turn.thoughts.push(thought)
  }

  function addText(text: string): void {
    if (turn !== null && turn.text !== null && turn.calls.length === 0) endTurn()
    turn ??= newTurn()
    turn.text = `${turn.text ?? ''}${text}`
  }

  function addCall(id: string, name: string, json: string): void {
    calls.add(id)
    turn ??= newTurn()
    turn.calls.push({ id, type: 'function', function: { name, arguments: json } })
  }

  function endTurn(): void {
    if (turn !== null) messages.push(toMessage(turn))
    turn = null
  }
}

/** A reference is short, and what it refers to may be long and referred to again and again. */
const mostBrought = 16 * 1024 * 1024

/** The calls of a message; of one that makes none, none. */
export const callsOf = (message: ChatMessage): readonly ToolCall[] =>
  message.role === 'assistant' ? (message.tool_calls ?? []) : []

type Turn = { thoughts: string[]; text: string | null; calls: ToolCall[] }

const newTurn = (): Turn => ({ thoughts: [], text: null, calls: [] })

function toMessage({ thoughts, text, calls }: Turn): Assistant {
  return {
    role: 'assistant',
    content: text ?? (calls.length > 0 ? null : ''),
    ...(thoughts.length === 0 ? {} : { reasoning_content: thoughts.join('\n\n') }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }
}

/** Notes of what a vendor's cloud did, and of tools: the model's words about it stand in messages. */
const leftOut: ReadonlySet<string> = new Set([
  'additional_tools',
  'code_interpreter_call',
  'computer_call',
  'computer_call_output',
  'configuration_update',
  'file_search_call',
  'image_generation_call',
  'mcp_approval_request',
  'mcp_approval_response',
  'mcp_call',
  'mcp_list_tools',
  'program',
  'program_output',
  'tool_search_call',
  'tool_search_output',
  'web_search_call',
])
