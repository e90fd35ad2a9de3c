/** Releases and flags, for tests that are about something else: there is none, and none can be begun. */
import type { ReleaseAdmin } from '../../src/adapters/admin-http/index.ts'

const none = () => Promise.reject(new Error('not asked'))

export const quietReleases: ReleaseAdmin = {
  list: async () => [],
  ...{ find: none, decisions: none, report: none, start: none, promote: none, abort: none, resume: none },
}

export const quietFlags = { list: () => [], set: none, reset: none }
