/** The embedded engine: one GGUF through llama.cpp, behind an OpenAI-compatible API on a Unix socket. Start at `openServer`. */
export { openCounters } from './metrics.ts'
export { openServer } from './server.ts'
export type { EngineServer } from './server.ts'
export { openWeights } from './weights.ts'
export type { Weights } from './weights.ts'
