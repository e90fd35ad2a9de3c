/** A golden set's cases: what is asked, and what a right answer looks like. */
import type { ChatMessage, Tool } from '../dialect/index.ts'
import type { LinearPattern } from './linear-regex.ts'

export type Expectations = {
  exact?: string
  /** Each must occur. */
  contains?: readonly string[]
  regex?: { source: string; pattern: LinearPattern }
  jsonSchema?: unknown
  toolCall?: { name: string; arguments: Record<string, unknown> }
  similar?: { to: string; atLeast: number }
  rubric?: { criteria: string; atLeast: number }
}
export const checkKinds = ['exact', 'contains', 'regex', 'json_schema', 'tool_call', 'similar', 'rubric'] as const
export type CheckKind = (typeof checkKinds)[number]

export type GoldenCase = {
  id: string
  messages: ChatMessage[]
  tools: Tool[]
  expect: Expectations
  /** Going from pass to fail on this one case blocks alone. */
  critical: boolean
  tags: readonly string[]
  /** What the answer must rest on. */
  context: string | null
  /** `null`: as many as the run says. */
  repeats: number | null
  /** Cases that fail together for one cause: the same first tag, else the same conversation. */
  cluster: string
}

export type GoldenSet = { cases: readonly GoldenCase[] }
