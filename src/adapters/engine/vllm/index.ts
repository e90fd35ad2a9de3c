/** vLLM: `vllm serve`. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { probe, toFault, toRequest } from '../openai/index.ts'

export const vllm: EngineDialect = { kind: 'vllm', toRequest, toFault, probe }
