/** Registry: artifacts and versions that are kept for ever, in any place that keeps objects. Start at `ports.ts`. */
export type { ListedObject, ObjectHead, ObjectPlace, Upload } from './ports.ts'
export { openRegistrySource } from './source.ts'
export type { RegistrySource } from './source.ts'
