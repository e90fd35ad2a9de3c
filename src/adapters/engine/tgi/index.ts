/** Text Generation Inference. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { probe, toFault, toRequest } from '../openai/index.ts'

export const tgi: EngineDialect = { kind: 'tgi', toRequest, toFault, probe }
