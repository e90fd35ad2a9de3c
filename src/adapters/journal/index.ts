/** The journal on disk: the gateway writes it, the controller reads it. */
export { repairJournal } from './repair.ts'
export { openJournalReader } from './reader.ts'
export { openJournal } from './writer.ts'
export type { Journal, JournalOptions, Written } from './writer.ts'
