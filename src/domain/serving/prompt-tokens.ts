/** How many tokens a prompt has, about: for what is set aside before an engine has counted them. */
import { tokens, type Tokens } from '../units.ts'
import type { Ask } from './ask.ts'

/** Characters of a prompt that make a token, about, in most languages and tokenizers. */
export const charactersPerToken = 4
/** An image or a sound, whatever its bytes: about what models of either kind make of one. */
const tokensOfMedia = 1_000
/** Roles and separators. */
export const tokensOfTurn = 4
/** Deeper structures are no prompts. */
const deepest = 12

export function promptTokens(ask: Pick<Ask, 'body' | 'plain'>): Tokens {
  if (ask.plain !== undefined) return ask.plain.promptTokens
  const { messages, prompt, input, tools, query, documents } = ask.body
  const parts = [messages, prompt, input, tools, query, documents]
  return tokens(Math.ceil(parts.reduce<number>((sum, part) => sum + countOf(part, 0), 0)))
}

function countOf(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.length / charactersPerToken
  // A prompt may come as tokens.
  if (typeof value === 'number') return 1
  if (typeof value !== 'object' || value === null || depth > deepest) return 0
  if (Array.isArray(value)) return sum(value, depth)
  if (isMedia(value)) return tokensOfMedia
  return sum(Object.values(value), depth) + ('role' in value ? tokensOfTurn : 0)
}

function sum(values: readonly unknown[], depth: number): number {
  let count = 0
  for (const value of values) count += countOf(value, depth + 1)
  return count
}

const isMedia = (part: object): boolean =>
  'type' in part && (part.type === 'image_url' || part.type === 'input_audio' || part.type === 'file')
