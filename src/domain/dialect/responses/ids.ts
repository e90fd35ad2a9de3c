/** Ids of an answer and its parts, all made from the request's. */
import type { RequestId } from '../../units.ts'

const compact = (id: RequestId): string => id.replaceAll('-', '')

export const responseId = (id: RequestId): string => `resp_${compact(id)}`

const prefixes = { reasoning: 'rs', message: 'msg', function_call: 'fc', custom_tool_call: 'ctc' } as const

/** `index` counts the output's items. The id tells which answer the item belongs to. */
export const itemId = (id: RequestId, type: keyof typeof prefixes, index: number): string =>
  `${prefixes[type]}_${compact(id)}_${index}`

/** The answer that made an item; `null`: its id is not of our making. */
export function responseIdOf(item: string): string | null {
  const found = /^(?:rs|msg|fc|ctc)_([^_]+)_\d+$/.exec(item)
  return found === null ? null : `resp_${found[1]}`
}

/** An id for a call that the conversation does not have yet: engines that count from 0 in every answer repeat theirs. */
export function freeCallId(call: string, id: RequestId, taken: ReadonlySet<string>): string {
  if (call !== '' && !taken.has(call)) return call
  const first = `${call || 'call'}_${compact(id).slice(-12)}`
  if (!taken.has(first)) return first
  // Small numbers first, then such as are likely to be free: an answer may hold very many calls of one id.
  for (let count = 1; ; count = count === 9 ? Math.max(10, taken.size) : count + 1) {
    const tried = `${first}_${count}`
    if (!taken.has(tried)) return tried
  }
}
