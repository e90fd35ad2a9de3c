/** Any OpenAI-compatible address. Other dialects borrow what they share with it. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { toFault } from './errors.ts'
import { probe } from './health.ts'
import { toRequest } from './request.ts'

export const openai: EngineDialect = { kind: 'openai', toRequest, toFault, probe }

export { toFault } from './errors.ts'
export { probe } from './health.ts'
export { toRequest } from './request.ts'
