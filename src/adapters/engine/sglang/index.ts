/** SGLang: `sglang.launch_server`. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { toFault } from '../openai/index.ts'
import { probe } from './health.ts'
import { toRequest } from './request.ts'

export const sglang: EngineDialect = { kind: 'sglang', toRequest, toFault, probe }
