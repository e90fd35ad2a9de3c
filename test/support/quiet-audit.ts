/** Audit's side of the admin routes where nothing ever happened, for tests that are about other routes. */
import type { AdminParts } from '../../src/adapters/admin-http/index.ts'
import { instant } from '../../src/domain/units.ts'

export const quietAudit = (over: Partial<AdminParts['audit']> = {}): AdminParts['audit'] => ({
  search: { page: async () => ({ lines: [], next: null }), async *all() {} },
  find: async who => ({ subject: { ids: [who], names: [], until: instant(0) }, living: [] }),
  erasing: { begin: () => Promise.reject(new Error('nothing is erased here')) },
  wake: () => undefined,
  store: { erasures: async () => [], countAbout: async () => ({ requests: 0, acts: 0 }), removals: async () => [] },
  notes: { note: () => undefined },
  ...over,
})
