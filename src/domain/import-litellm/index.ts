/** From LiteLLM Proxy's config.yaml to a spec, and the list of what a spec can't say. Start at `importLiteLlm`. */
export { importLiteLlm } from './import.ts'
export type { ImportedConfig } from './import.ts'
export type { LeftOut } from './left-out.ts'
