/** Pairs that people judged: JSON lines `{id, messages, a, b, winner}`; all that is wrong at once, with line numbers. */
import type { ChatMessage } from '../../dialect/index.ts'
import { isRecord } from '../fields.ts'
import type { PairScore } from './pair-outcome.ts'

export type LabelledPair = {
  id: string
  messages: readonly ChatMessage[]
  a: string
  b: string
  /** 1: people found `b` better; -1: `a`; 0: neither. */
  label: PairScore
}
export type LabelsReading =
  | { ok: true; pairs: LabelledPair[] }
  | { ok: false; problems: { line: number; problem: string }[] }

const mostPairs = 10_000
const mostProblems = 100
const labels: Readonly<Record<string, PairScore>> = { a: -1, b: 1, tie: 0 }

export function parseLabelledPairs(text: string): LabelsReading {
  const problems: { line: number; problem: string }[] = []
  const pairs: LabelledPair[] = []
  const seen = new Map<string, number>()
  for (const [index, content] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    if (content.trim() === '') continue
    const line = index + 1
    const read = readPair(content)
    if ('problem' in read) {
      problems.push({ line, problem: read.problem })
      continue
    }
    const first = seen.get(read.id)
    if (first !== undefined) problems.push({ line, problem: `the id '${read.id}' is taken by line ${first}` })
    seen.set(read.id, first ?? line)
    pairs.push(read)
  }
  if (pairs.length === 0 && problems.length === 0) problems.push({ line: 1, problem: 'there is no pair in it' })
  if (pairs.length > mostPairs) problems.push({ line: 1, problem: `there are at most ${mostPairs} pairs: split it` })
  return problems.length === 0 ? { ok: true, pairs } : { ok: false, problems: problems.slice(0, mostProblems) }
}

function readPair(content: string): LabelledPair | { problem: string } {
  const value = parse(content)
  if (!isRecord(value))
    return { problem: 'a pair is an object: {"id": …, "messages": […], "a": …, "b": …, "winner": …}' }
  const { id, messages, a, b, winner } = value
  if (typeof id !== 'string' || id.trim() === '') return { problem: 'id must be text' }
  if (!Array.isArray(messages) || messages.length === 0 || !messages.every(isMessage))
    return { problem: 'messages must be a list of {"role": …, "content": text}' }
  if (typeof a !== 'string' || typeof b !== 'string') return { problem: 'a and b must be the two answers, as text' }
  const label = typeof winner === 'string' ? labels[winner] : undefined
  if (label === undefined) return { problem: 'winner must be "a", "b" or "tie"' }
  return { id, messages, a, b, label }
}

const isMessage = (value: unknown): value is ChatMessage =>
  isRecord(value) &&
  ['system', 'user', 'assistant'].includes(String(value['role'])) &&
  typeof value['content'] === 'string'

function parse(content: string): unknown {
  try {
    return JSON.parse(content)
  } catch {
    return null
  }
}
