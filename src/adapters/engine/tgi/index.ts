/** Text Generation Inference. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { toFault } from './errors.ts'
import { probe } from './health.ts'
import { toRequest } from './request.ts'

export const tgi: EngineDialect = { kind: 'tgi', toRequest, toFault, probe }
