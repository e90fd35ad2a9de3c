/** A client as the conformance run sees it: what it is asked and what it heard, in no client's own words. */

/** What is said to a model. */
export type Question = {
  text: string
  /** A `data:` URL. */
  image?: string
  tools?: readonly Tool[]
  /** The tool that must be called. */
  force?: string
  /** An answer that called tools, and what each call gave, in the order of its calls. */
  results?: { of: Heard; outputs: readonly string[] }
  /** The answer is JSON of this schema. */
  schema?: Schema
  maxTokens?: number
}
export type Schema = Readonly<Record<string, unknown>>
export type Tool = { name: string; description: string; parameters: Schema }

/** What the client gave its caller. */
export type Heard = {
  text: string
  thought: string
  calls: { id: string; name: string; input: unknown }[]
  /** Why it ended, by the client's own word for each. */
  finish: 'stop' | 'tools' | 'length' | 'other'
  usage: { input: number; output: number } | null
  /** Pieces of text that a stream came in; 0: it was no stream. */
  pieces: number
  /** The answer as this client wants it back. */
  native: unknown
}

export type StreamOptions = {
  signal?: AbortSignal
  /** Told at each piece of text. */
  onPiece?: () => void
}

export type Access = { url: string; key: string; model: string }

/** One dialect of one client. Whatever the client throws comes out as it is. */
export type Speaker = {
  ask: (access: Access, question: Question) => Promise<Heard>
  stream: (access: Access, question: Question, options?: StreamOptions) => Promise<Heard>
  /** How the client tells an error. */
  problem: (error: unknown) => Problem
}

export type Problem = {
  /** The class's own name. */
  type: string
  /** As the client tells it; `null`: it does not. */
  status: number | null
  message: string
}

/** For clients whose errors are classes of their own with `status` and `message`. */
export function problemOf(error: unknown): Problem {
  if (!(error instanceof Error)) return { type: typeof error, status: null, message: JSON.stringify(error) }
  const status = 'status' in error && typeof error.status === 'number' ? error.status : null
  return { type: error.constructor.name, status, message: error.message }
}

/** Turns arguments, which are JSON on the wire, into what a caller works with. */
export const parseInput = (json: string): unknown => JSON.parse(json)

/** A field of something a client has no type for. */
export function fieldOf(value: unknown, name: string): unknown {
  // An object has whatever fields it has; they stay unknown.
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}

export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
