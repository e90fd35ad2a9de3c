/** A journal line, parsed. */
import { z } from 'zod'
import { parseBlock, parseErased } from '../../domain/journal/index.ts'
import type { JournalRecord } from '../../domain/journal/index.ts'

const text = z.string()
const name = z.string().nullable()
const count = z.number().nullable()

const Mark = z.object({
  id: text,
  step: z.int(),
  arm: z.enum(['live', 'candidate']),
  version: text,
  unit: text,
})
const shared = { id: text, at: z.number(), alias: name, team: name, route: text, stream: z.boolean() }
const Open = z.object({ t: z.literal('open'), ...shared, key: text, model: text })
const Close = z.object({
  t: z.literal('close'),
  ...shared,
  key: name,
  model: name,
  version: name,
  replica: name,
  status: z.int(),
  outcome: z.enum(['ok', 'refused', 'failed', 'cancelled']),
  fault: name,
  inputTokens: count,
  outputTokens: count,
  ttftMs: count,
  totalMs: z.number(),
  attempts: z.int(),
  clientId: name,
  from: text,
  // Not in what older gateways wrote.
  choice: name.default(null),
  waitedMs: count.default(null),
  gpuMs: count.default(null),
  cost: count.default(null),
  currency: name.default(null),
  estimatedTokens: count.default(null),
  release: Mark.optional(),
  flags: z.array(text).optional(),
})
const Feedback = z.object({
  t: z.literal('feedback'),
  id: text,
  at: z.number(),
  key: text,
  request: text,
  score: z.literal([1, -1]),
  comment: name,
  checked: z.boolean(),
  release: Mark.optional(),
})
const Gap = z.object({ t: z.literal('gap'), at: z.number(), until: z.number(), lost: z.int() })
const Act = z.object({
  t: z.literal('act'),
  id: text,
  at: z.number(),
  who: name,
  alias: name,
  from: name,
  what: text,
  target: name,
  decision: z.enum(['done', 'refused', 'failed']),
  why: name,
  detail: z.record(z.string(), z.unknown()).nullable(),
})
const Known = z.discriminatedUnion('t', [Open, Close, Feedback, Gap, Act])

/** `null`: not a record this program knows, be it damaged or newer. */
export function parseRecord(line: string): JournalRecord | null {
  const sealing = parseBlock(line) ?? parseErased(line)
  if (sealing) return sealing
  try {
    const { success, data } = Known.safeParse(JSON.parse(line))
    // The schema gives plain strings and numbers; the brands are the compiler's only.
    return success ? (data as JournalRecord) : null
  } catch {
    return null
  }
}
