/** SGLang: `sglang.launch_server`. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { toFault } from '../openai/index.ts'
import { probe } from './health.ts'
import { relay, toRequest } from './request.ts'

export const sglang: EngineDialect = { kind: 'sglang', toRequest, relay, toFault, probe }
