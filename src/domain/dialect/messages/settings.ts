/** How a request wants its answer made, beside the conversation and the tools. Rules M17–M20. */
import type { ChatRequest } from '../chat.ts'
import {
  flagAt,
  given,
  listAt,
  nameAt,
  numberBetween,
  optional,
  plainAt,
  recordAt,
  refuse,
  textAt,
  told,
  unsupported,
  wholeFrom,
  type Json,
} from './place.ts'

export type Settings = Omit<ChatRequest, 'model' | 'messages'>

export function readSettings(body: Json): Settings {
  refuseWhatNobodyDoes(body)
  const stops = readStops(body)
  return {
    max_tokens: wholeFrom(1)(body['max_tokens'], 'max_tokens'),
    ...given({
      stream: optional(body['stream'], 'stream', flagAt),
      temperature: optional(body['temperature'], 'temperature', numberBetween(0, 2)),
      top_p: optional(body['top_p'], 'top_p', numberBetween(0, 1)),
      top_k: optional(body['top_k'], 'top_k', wholeFrom(0)),
      user: optional(optional(body['metadata'], 'metadata', recordAt)?.['user_id'], 'metadata.user_id', textAt),
      stop: stops.length > 0 ? stops : undefined,
      response_format: readFormat(body),
      reasoning_effort: readEffort(body),
    }),
    ...readTemplate(body),
  }
}

export function readStops(body: Json): string[] {
  const stops = optional(body['stop_sequences'], 'stop_sequences', listAt) ?? []
  return stops.map((stop, index) => nameAt(stop, `stop_sequences.${index}`))
}

/** Templates of models that may think or not look for this; all others pass over it. */
export function readTemplate(body: Json): { chat_template_kwargs?: { enable_thinking: false } } {
  const thinking = optional(body['thinking'], 'thinking', recordAt)
  return thinking?.['type'] === 'disabled' ? { chat_template_kwargs: { enable_thinking: false } } : {}
}

/** The words that engines know; Anthropic's `xhigh` and `max` are beyond the strongest of them. */
const efforts: ReadonlyMap<string, string> = new Map([
  ['low', 'low'],
  ['medium', 'medium'],
  ['high', 'high'],
  ['xhigh', 'high'],
  ['max', 'high'],
])

function readEffort(body: Json): string | undefined {
  const thinking = optional(body['thinking'], 'thinking', recordAt)
  const asked = optional(readOutput(body)?.['effort'], 'output_config.effort', textAt)
  const effort = asked === undefined ? undefined : efforts.get(asked)
  if (asked !== undefined && effort === undefined) {
    const known = [...efforts.keys()].join(', ')
    throw refuse('output_config.effort', `'output_config.effort' must be one of ${known}; it is ${told(asked)}.`)
  }
  if (thinking?.['type'] === 'disabled') return undefined
  if (effort !== undefined || thinking?.['type'] !== 'enabled') return effort
  const budget = optional(thinking['budget_tokens'], 'thinking.budget_tokens', wholeFrom(1))
  if (budget === undefined) return undefined
  if (budget < 4_096) return 'low'
  return budget < 16_384 ? 'medium' : 'high'
}

function readFormat(body: Json): Record<string, unknown> | undefined {
  const inConfig = readOutput(body)?.['format']
  const [value, at] =
    inConfig === undefined || inConfig === null
      ? [body['output_format'], 'output_format']
      : [inConfig, 'output_config.format']
  const format = optional(value, at, recordAt)
  if (format === undefined) return undefined
  if (format['type'] !== 'json_schema')
    throw refuse(`${at}.type`, `'${at}.type' must be json_schema; it is ${told(format['type'])}.`)
  const schema = plainAt(format['schema'], `${at}.schema`)
  return { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } }
}

const readOutput = (body: Json): Json | undefined => optional(body['output_config'], 'output_config', recordAt)

type Undone = { field: string; what: string; instead: string }

const undone: readonly Undone[] = [
  {
    field: 'mcp_servers',
    what: "Calling MCP servers from here ('mcp_servers')",
    instead: 'Let your client call them, and offer their tools in tools.',
  },
  {
    field: 'container',
    what: "A container to run code in ('container')",
    instead: 'Offer a tool of your own that runs code.',
  },
  {
    field: 'thread',
    what: "Keeping a conversation here ('thread')",
    instead: 'Send the whole conversation in messages.',
  },
  {
    field: 'compaction',
    what: "Summarising a conversation by itself ('compaction')",
    instead: 'Ask for the summary in a message.',
  },
]

/** Left out, the answer would be another than the one asked for. What is only a wish or a saving is passed over. */
function refuseWhatNobodyDoes(body: Json): void {
  for (const { field, what, instead } of undone) {
    const value = body[field]
    const isEmpty = value === undefined || value === null || (Array.isArray(value) && value.length === 0)
    if (!isEmpty) throw unsupported(what, instead)
  }
}
