/** vLLM: `vllm serve`. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { toFault } from '../openai/index.ts'
import { probe } from './health.ts'
import { relay, toRequest } from './request.ts'

export const vllm: EngineDialect = { kind: 'vllm', toRequest, relay, toFault, probe }
