/** The journal on disk: the gateway writes it, the controller reads it. */
export { openJournalKeeper } from './keeper.ts'
export { makeUuid7 } from './layout.ts'
export { repairJournal } from './repair.ts'
export { openJournalReader } from './reader.ts'
export { openDepotStore } from './depot-store.ts'
export { openShippableJournal } from './shippable.ts'
export { openJournal } from './writer.ts'
export type { Journal, JournalOptions, Written } from './writer.ts'
