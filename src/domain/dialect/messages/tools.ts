/** Tools of a request, as engines know them. Rules M14–M16. */
import type { ChatRequest, Tool } from '../chat.ts'
import {
  flagAt,
  given,
  listAt,
  nameAt,
  optional,
  plainAt,
  recordAt,
  refuse,
  textAt,
  told,
  unsupported,
  type Json,
} from './place.ts'

/** What a request says of tools; fields that say nothing are left out. */
export type Tooling = Pick<ChatRequest, 'tools' | 'tool_choice' | 'parallel_tool_calls'>

export function readTooling(body: Json): Tooling {
  const tools =
    optional(body['tools'], 'tools', listAt)?.flatMap((tool, index) => readTool(tool, `tools.${index}`)) ?? []
  const choice = optional(body['tool_choice'], 'tool_choice', recordAt)
  // Engines refuse an empty list, and a choice among nothing.
  if (tools.length === 0) return choice === undefined ? {} : withoutTools(choice)
  return { tools, ...(choice === undefined ? {} : readChoice(choice, tools)) }
}

function readTool(value: unknown, at: string): Tool[] {
  const tool = recordAt(value, at)
  const type = optional(tool['type'], `${at}.type`, textAt) ?? 'custom'
  // It finds tools that were not told at once; engines are told all of them at once.
  if (type.startsWith('tool_search_tool_')) return []
  if (type !== 'custom' && (tool['input_schema'] === undefined || tool['input_schema'] === null)) {
    throw unsupported(
      `The tool ${told(tool['name'] ?? type)} of type ${told(type)} ('${at}')`,
      "Only Anthropic's servers and models know it. Leave it out, or offer a tool of your own: name, description, input_schema.",
    )
  }
  return [
    {
      type: 'function',
      function: {
        name: nameAt(tool['name'], `${at}.name`),
        ...given({ description: optional(tool['description'], `${at}.description`, textAt) }),
        parameters: plainAt(tool['input_schema'], `${at}.input_schema`),
        ...given({ strict: optional(tool['strict'], `${at}.strict`, flagAt) }),
      },
    },
  ]
}

function readChoice(choice: Json, tools: readonly Tool[]): Tooling {
  const alone = optional(choice['disable_parallel_tool_use'], 'tool_choice.disable_parallel_tool_use', flagAt) === true
  const parallel = alone ? { parallel_tool_calls: false } : {}
  switch (choice['type']) {
    case 'auto':
      return { tool_choice: 'auto', ...parallel }
    case 'any':
      return { tool_choice: 'required', ...parallel }
    case 'none':
      return { tool_choice: 'none' }
    case 'tool': {
      const name = nameAt(choice['name'], 'tool_choice.name')
      if (!tools.some(tool => tool.function.name === name))
        throw refuse('tool_choice.name', `'tool_choice.name' is ${told(name)}, and 'tools' holds no such tool.`)
      return { tool_choice: { type: 'function', function: { name } }, ...parallel }
    }
    default:
      throw refuse(
        'tool_choice.type',
        `'tool_choice.type' must be auto, any, tool or none; it is ${told(choice['type'])}.`,
      )
  }
}

function withoutTools(choice: Json): Tooling {
  if (choice['type'] === 'auto' || choice['type'] === 'none') return {}
  throw refuse('tool_choice', "'tool_choice' asks for a tool, and 'tools' offers none that an engine could call.")
}
