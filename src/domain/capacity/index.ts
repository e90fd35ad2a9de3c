/** Capacity: what a model needs, what fits where, and why. Rules: SPEC.md. */
export { kvBytes } from './kv-cache.ts'
export type { CacheType, CacheTypes, KvBytes } from './kv-cache.ts'
