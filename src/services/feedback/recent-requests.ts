/** Recent requests: what this gateway answered of late, so that feedback on it is checked at once. In memory, bounded. */
import type { CloseRecord, ReleaseMark } from '../../domain/journal/index.ts'
import type { KeyId, RequestId } from '../../domain/units.ts'

export type Answered = { key: KeyId | 'admin'; release: ReleaseMark | null }

export interface RecentRequests {
  note(record: CloseRecord): void
  /** `null`: this gateway does not know it, or not any more. */
  find(id: RequestId): Answered | null
}

const mostKept = 10_000

/** Lists that go round, and no map: one is written to with every request, and looked into only when somebody gives feedback. */
export function openRecentRequests(most = mostKept): RecentRequests {
  const ids: RequestId[] = []
  const keys: Answered['key'][] = []
  const releases: Answered['release'][] = []
  let next = 0
  return {
    note({ id, key, version, release }) {
      // What no engine was asked for has no answer to think of.
      if (key === null || version === null) return
      ids[next] = id
      keys[next] = key
      releases[next] = release ?? null
      next = (next + 1) % most
    },
    find(id) {
      const at = ids.indexOf(id)
      const key = keys[at]
      return key === undefined ? null : { key, release: releases[at] ?? null }
    },
  }
}
