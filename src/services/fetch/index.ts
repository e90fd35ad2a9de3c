/** Fetch: brings files from registries into the store, whole and verified. Start at `openFetcher`. */
export { chooseFiles } from './choose-files.ts'
export type { ChosenFiles } from './choose-files.ts'
export { openFetcher } from './fetch-artifact.ts'
export type { Fetcher, FetchOrder, FetchProgress } from './fetch-artifact.ts'
export { preferred } from './preferred.ts'
