/** Releases, flags and marks, for tests that are about something else: there is none, and none can be begun. */
import type { ReleaseAdmin } from '../../src/adapters/admin-http/index.ts'
import { instant } from '../../src/domain/units.ts'

const none = () => Promise.reject(new Error('not asked'))

export const quietReleases: ReleaseAdmin = {
  list: async () => [],
  ...{ find: none, decisions: none, report: none, start: none, promote: none, abort: none, resume: none },
}

export const quietFlags = { list: () => [], set: none, reset: none }

export const quietQuality = { read: async () => ({ since: instant(0), models: [], cut: false }) }
