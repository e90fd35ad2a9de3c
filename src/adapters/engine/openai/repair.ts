/** Repairs: engines' answers brought to OpenAI's shape. A repair is made of mends, one for each thing engines get wrong. */
import { FaultError } from '../../../domain/fault.ts'
import type { Repair } from '../../../services/serve/index.ts'
import { asNumber, field, isRecord, type Json } from './json.ts'

/** Changes nothing in what needs no change, and never what it was given. */
export type Mend = {
  /** Texts of which a chunk that needs this mend holds one; chunks without them pass unparsed. */
  readonly marks: readonly string[]
  chunk?(chunk: Json): Json
  whole?(answer: unknown): unknown
}

/** The mends in their order. Made anew for each attempt when one of them keeps count of a stream. */
export function repairWith(...mends: readonly Mend[]): Repair {
  const marks: string[] = []
  for (const mend of mends) for (const mark of mend.marks) marks.push(mark)
  return {
    // No getter: one of an object's own costs more to make than all the rest here.
    marks,
    chunk(chunk) {
      let mended = chunk
      for (const mend of mends) mended = mend.chunk?.(mended) ?? mended
      return mended
    },
    whole(answer) {
      let mended = answer
      for (const mend of mends) if (mend.whole !== undefined) mended = mend.whole(mended)
      if (isRecord(mended)) return mended
      throw answerFailed('its answer is not a JSON object')
    },
  }
}

/** vLLM calls it `reasoning` since 0.11; clients look for `reasoning_content`. The engine's own field stays. */
export const reasoning: Mend = {
  marks: keyMarks('reasoning', '"'),
  chunk: chunk => mapChoices(chunk, choice => withReasoning(choice, 'delta')),
  whole: answer => mapChoices(answer, choice => withReasoning(choice, 'message')),
}

/** Usage without its total. */
export const usageTotal: Mend = {
  marks: keyMarks('usage', '{'),
  chunk: chunk => withTotal(chunk),
  whole: answer => withTotal(answer),
}

/** How a key stands in JSON before a value that begins so, with and without a blank. A text can't spell it: its quotes are escaped. */
export function keyMarks(name: string, start: string): string[] {
  return [`"${name}":${start}`, `"${name}": ${start}`]
}

/** The answer with each of its choices changed; itself, when none was. */
export function mapChoices<T>(answer: T, change: (choice: Json) => Json): T {
  const choices = field(answer, 'choices')
  if (!Array.isArray(choices)) return answer
  let isChanged = false
  const changed = choices.map((choice: unknown) => {
    const mended = isRecord(choice) ? change(choice) : choice
    isChanged ||= mended !== choice
    return mended
  })
  if (!isChanged) return answer
  // What has choices is a record, and keeps its other fields.
  return { ...answer, choices: changed }
}

/** What an answer of 200 is that can't be understood. */
export function answerFailed(detail: string): FaultError {
  return new FaultError({ kind: 'engine-failed', status: 200, detail })
}

function withReasoning(choice: Json, part: 'delta' | 'message'): Json {
  const said = choice[part]
  const thought = field(said, 'reasoning')
  if (!isRecord(said) || typeof thought !== 'string' || typeof said['reasoning_content'] === 'string') return choice
  return { ...choice, [part]: { ...said, reasoning_content: thought } }
}

function withTotal<T>(answer: T): T {
  const usage = field(answer, 'usage')
  const [input, output] = [asNumber(field(usage, 'prompt_tokens')), asNumber(field(usage, 'completion_tokens'))]
  if (!isRecord(usage) || asNumber(usage['total_tokens']) !== null || input === null) return answer
  return { ...answer, usage: { ...usage, total_tokens: input + (output ?? 0) } }
}
