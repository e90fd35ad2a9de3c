/** TensorRT-LLM: `trtllm-serve`. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { toFault } from '../openai/index.ts'
import { probe } from './health.ts'
import { toRequest } from './request.ts'

export const tensorrtLlm: EngineDialect = { kind: 'tensorrt-llm', toRequest, toFault, probe }
