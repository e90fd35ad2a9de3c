/** OpenAI's dialect in: HTTP requests become exchanges, plain ones by way of `lane.ts`, the others by node:http's. Start at `server.ts`. */
export { endAnswer } from './body.ts'
export { certificateProblem } from './certificates.ts'
export { openHttp, sendFault } from './server.ts'
export type { Plain, PlainRequest, PlainRoute } from './server.ts'
