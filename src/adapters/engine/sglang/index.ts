/** SGLang: `sglang.launch_server`. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { probe, toFault, toRequest } from '../openai/index.ts'

export const sglang: EngineDialect = { kind: 'sglang', toRequest, toFault, probe }
