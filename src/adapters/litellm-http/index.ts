/** Administration as LiteLLM Proxy's scripts know it, mounted beside our own. Start at `liteLlmRoutes`. */
export { liteLlmRoutes } from './routes.ts'
export type { LiteLlmParts } from './routes.ts'
