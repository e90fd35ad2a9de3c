/** What a model answered, as checks and judges read it. */
import type { FinishReason, ToolCall } from '../dialect/index.ts'
import { canonicalJson } from './canonical.ts'

/** One token of an answer, and what might have stood in its place. Chances are in (0, 1]. */
export type TokenChance = {
  text: string
  others: readonly { text: string; chance: number }[]
}

export type GivenAnswer = {
  text: string
  toolCalls: readonly ToolCall[]
  finish: FinishReason
  /** `null`: the engine does not tell chances. */
  tokens: readonly TokenChance[] | null
  latencyMs: number
  /** Who answered, as the service names it; `null`: it did not say. */
  version: string | null
}

/** Answers whose difference no reader could see are one: Unicode's spelling, runs of white space and the ends do not count. */
export function normalise(text: string): string {
  return text.normalize('NFC').replaceAll(/\s+/g, ' ').trim()
}

/** An answer as one text, its tool calls written out with sorted arguments. */
export function renderAnswer({ text, toolCalls }: Pick<GivenAnswer, 'text' | 'toolCalls'>): string {
  const calls = toolCalls.map(
    call => `[calls ${call.function.name} with ${canonicalArguments(call.function.arguments)}]`,
  )
  return [text, ...calls].filter(part => part !== '').join('\n')
}

function canonicalArguments(json: string): string {
  try {
    return canonicalJson(JSON.parse(json))
  } catch {
    return json
  }
}
