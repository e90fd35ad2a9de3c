/** TensorRT-LLM: `trtllm-serve`. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { probe, toFault, toRequest } from '../openai/index.ts'

export const tensorrtLlm: EngineDialect = { kind: 'tensorrt-llm', toRequest, toFault, probe }
