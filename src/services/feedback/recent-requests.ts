/** Recent requests: what this gateway answered of late, so that feedback on it is checked at once. In memory, bounded. */
import type { CloseRecord, ReleaseMark } from '../../domain/journal/index.ts'
import { openGenerations } from '../../domain/generations.ts'
import type { KeyId, RequestId } from '../../domain/units.ts'

export type Answered = { key: KeyId | 'admin'; release: ReleaseMark | null }

export interface RecentRequests {
  note(record: CloseRecord): void
  /** `null`: this gateway does not know it, or not any more. */
  find(id: RequestId): Answered | null
}

/** Each takes some 300 bytes. */
const mostKept = 10_000

export function openRecentRequests(most = mostKept): RecentRequests {
  const known = openGenerations<RequestId, Answered>(most)
  return {
    note({ id, key, version, release }) {
      // What no engine was asked for has no answer to think of.
      if (key === null || version === null) return
      known.set(id, { key, release: release ?? null })
    },
    find: id => known.peek(id) ?? null,
  }
}
