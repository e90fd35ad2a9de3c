/** OpenAI's Responses API, for engines that know chat completions. Start at `request.ts`; the rules are in ../SPEC.md. */
export { toResponsesFault } from './fault.ts'
export { fromResponses } from './request.ts'
export type { ResponsesContext } from './request.ts'
