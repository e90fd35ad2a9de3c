/** OpenAI's chat completions as engines speak them: the middle between every client's dialect and every engine. */

/** A content part. Unknown kinds pass through untouched. */
export type ContentPart =
  | { type: 'text'; text: string }
  | { type: 'image_url'; image_url: { url: string; detail?: string } }
  | { type: 'input_audio'; input_audio: { data: string; format: string } }

export type ToolCall = { id: string; type: 'function'; function: { name: string; arguments: string } }

export type ChatMessage =
  | { role: 'system'; content: string | ContentPart[] }
  | { role: 'user'; content: string | ContentPart[] }
  | {
      role: 'assistant'
      /** `null`: it only called tools. */
      content: string | null
      /** What the model thought before it answered; engines with reasoning models take it back. */
      reasoning_content?: string
      tool_calls?: ToolCall[]
    }
  | { role: 'tool'; tool_call_id: string; content: string | ContentPart[] }

export type Tool = {
  type: 'function'
  function: { name: string; description?: string; parameters?: Record<string, unknown>; strict?: boolean }
}

export type ToolChoice = 'none' | 'auto' | 'required' | { type: 'function'; function: { name: string } }

/** What an engine is asked. Fields that are not named here pass through under their own names. */
export type ChatRequest = {
  model: string
  messages: ChatMessage[]
  stream?: boolean
  max_tokens?: number
  temperature?: number
  top_p?: number
  top_k?: number
  stop?: string[]
  tools?: Tool[]
  tool_choice?: ToolChoice
  parallel_tool_calls?: boolean
  response_format?: Record<string, unknown>
  reasoning_effort?: string
  user?: string
  [field: string]: unknown
}

/** Tokens of an answer, as an engine's `usage` tells them. */
export type ChatUsage = {
  input: number
  output: number
  /** Part of `input` that was in the engine's cache. */
  cached: number
  /** Part of `output` that was thought, not said. */
  reasoning: number
}

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter'

/** What one chunk of a stream adds to the answer, in the order in which clients should see it. */
export type ChatPiece =
  | { kind: 'reasoning'; text: string }
  | { kind: 'text'; text: string }
  | { kind: 'refusal'; text: string }
  /** Told once for each call, before its arguments. `index` counts an answer's calls from 0. */
  | { kind: 'tool-call'; index: number; id: string; name: string }
  | { kind: 'arguments'; index: number; json: string }
  | { kind: 'finish'; reason: FinishReason }
  | { kind: 'usage'; usage: ChatUsage }

/** A whole answer, read. */
export type ChatAnswer = {
  model: string
  reasoning: string
  text: string
  refusal: string
  toolCalls: ToolCall[]
  finish: FinishReason
  usage: ChatUsage | null
}
